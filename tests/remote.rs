//! Commands over SSH, against a real sshd on loopback. What is asserted is what that sshd reports.

#[path = "support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use repmgr::config::Config;
use repmgr::process::{Finished, ProcessError, shell_quote};
use repmgr::remote::{Host, Ssh};
use support::sshd::{Sshd, descendants, make_key, signal};
use support::{PATIENCE, eventually, ports, user};

/// Something that libssh2 is not used for.
const SYSTEM: &str = "-o Ciphers=aes256-ctr";

fn there() -> Host {
    Host::Remote("127.0.0.1".to_owned())
}

async fn run(ssh: &Ssh<'_>, command: &str) -> Finished {
    ssh.run(&there(), command, PATIENCE).await.expect("a result")
}

fn assert_failed(finished: &Finished, reason: &str) {
    assert_eq!(finished.status.code(), Some(255), "{finished:?}");
    assert!(finished.stderr.contains(reason), "{finished:?}");
}

/// Options for each transport, and the client that the server then sees.
const TRANSPORTS: [(&str, &str); 2] = [("", "libssh2"), (SYSTEM, "OpenSSH")];

#[tokio::test]
async fn output_and_status_come_back_separately_over_one_connection() {
    let sshd = Sshd::start("");
    for (options, _) in TRANSPORTS {
        let config = sshd.config(options);
        let ssh = Ssh::new(&config, None);
        ssh.reach(&there(), PATIENCE).await.unwrap();
        let finished = run(&ssh, "echo out; echo err >&2; exit 3").await;
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.status.code(), Some(3));
        let commands: Vec<String> = (0..8).map(|number| format!("echo {number}; exit {number}")).collect();
        let finished = join_all(commands.iter().map(|command| run(&ssh, command))).await;
        for (number, finished) in finished.iter().enumerate() {
            assert_eq!(finished.stdout, format!("{number}\n"));
            assert_eq!(finished.status.code(), i32::try_from(number).ok());
        }
        assert_eq!(sshd.sessions().len(), 1, "{options}");
        drop(ssh);
        eventually("the connection is closed", || sshd.sessions().is_empty().then_some(()));
    }
    assert_eq!(sshd.clients(), ["libssh2", "OpenSSH"]);
}

#[tokio::test]
async fn a_command_that_reads_gets_an_end() {
    let sshd = Sshd::start("");
    for (options, _) in TRANSPORTS {
        let config = sshd.config(options);
        assert_eq!(run(&Ssh::new(&config, None), "cat; echo done").await.stdout, "done\n");
    }
}

#[tokio::test]
async fn a_signal_is_told() {
    let sshd = Sshd::start("");
    let config = sshd.config("");
    let finished = run(&Ssh::new(&config, None), "kill -9 $$").await;
    assert_eq!(finished.status.signal(), Some(9), "{finished:?}");
}

#[tokio::test]
async fn much_output_on_both_ways_arrives_whole() {
    let sshd = Sshd::start("");
    let command = "head -c 6000000 /dev/zero | tr '\\0' e >&2; head -c 7000000 /dev/zero | tr '\\0' o";
    for (options, client) in TRANSPORTS {
        let config = sshd.config(options);
        let ssh = Ssh::new(&config, None);
        let (one, two) = tokio::join!(run(&ssh, command), run(&ssh, command));
        for finished in [one, two] {
            assert!(finished.status.success(), "{client}");
            assert_eq!((finished.stdout.len(), finished.stderr.len()), (7_000_000, 6_000_000));
            assert!(finished.stdout.bytes().all(|byte| byte == b'o'));
        }
    }
}

#[tokio::test]
async fn words_arrive_as_they_are() {
    let sshd = Sshd::start("");
    let words = [
        "it's",
        "",
        "a b",
        "$HOME `id` \"q\" \\",
        "a;b&c|d>e<f",
        "*?[a]",
        "~",
        "ä\n!",
        "host=node2 password='it''s' options='-c a=b'",
    ];
    let quoted: Vec<String> = words.iter().map(|word| shell_quote(word)).collect();
    let command = format!("printf '[%s]' {}", quoted.join(" "));
    let expected: String = words.iter().map(|word| format!("[{word}]")).collect();
    for (options, _) in TRANSPORTS {
        let config = sshd.config(options);
        assert_eq!(run(&Ssh::new(&config, None), &command).await.stdout, expected);
    }
}

#[tokio::test]
async fn output_goes_into_a_file_of_its_owner() {
    let sshd = Sshd::start("");
    for (options, client) in TRANSPORTS {
        let config = sshd.config(options);
        let file = sshd.path(&format!("{client}'s file"));
        let finished = Ssh::new(&config, None)
            .run_into(
                &there(),
                r"printf '\377\000'; echo err >&2",
                file.to_str().unwrap(),
                PATIENCE,
            )
            .await
            .unwrap();
        assert!(finished.status.success());
        assert_eq!(finished.stderr, "err\n");
        assert_eq!(std::fs::read(&file).unwrap(), [0o377, 0]);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_a_shell_says_at_login_is_no_output() {
    let sshd = Sshd::start("ForceCommand echo Welcome to this host; eval \"$SSH_ORIGINAL_COMMAND\"");
    let config = sshd.config("");
    let ssh = Ssh::new(&config, None);
    assert_eq!(run(&ssh, "echo 1").await.stdout, "Welcome to this host\n1\n");
    let finished = ssh.run_quietly(&there(), "echo 1; exit 7", PATIENCE).await.unwrap();
    assert_eq!((finished.stdout.as_str(), finished.status.code()), ("1\n", Some(7)));
}

#[tokio::test]
async fn a_command_that_hangs_is_given_up_and_others_go_on() {
    let sshd = Sshd::start("");
    for (options, client) in TRANSPORTS {
        let config = sshd.config(options);
        let ssh = Ssh::new(&config, None);
        ssh.reach(&there(), PATIENCE).await.unwrap();
        let start = Instant::now();
        let host = there();
        let hanging = ssh.run(&host, "sleep 100", Duration::from_secs(2));
        let (hanging, other) = tokio::join!(hanging, run(&ssh, "sleep 3; echo done"));
        assert!(matches!(hanging, Err(ProcessError::TimedOut { .. })), "{hanging:?}");
        assert_eq!(other.stdout, "done\n", "{client}");
        assert!(start.elapsed() < PATIENCE);
        assert_eq!(run(&ssh, "echo more").await.stdout, "more\n");
        assert_eq!(sshd.sessions().len(), 1, "{client}");
        drop(ssh);
        eventually("the connection is closed", || sshd.sessions().is_empty().then_some(()));
    }
}

#[tokio::test]
async fn more_commands_than_the_host_has_channels_wait_for_each_other() {
    let sshd = Sshd::start("MaxSessions 2");
    let config = sshd.config("");
    let ssh = Ssh::new(&config, None);
    let finished = join_all((0..7).map(|_| run(&ssh, "sleep 0.1; echo done"))).await;
    for finished in finished {
        assert_eq!(finished.stdout, "done\n", "{finished:?}");
    }
    assert_eq!(sshd.clients(), ["libssh2"]);
}

#[tokio::test]
async fn a_host_with_another_key_is_refused_and_not_asked_again() {
    let sshd = Sshd::start("");
    sshd.know("other");
    let config = sshd.config("");
    let finished = run(&Ssh::new(&config, None), "true").await;
    assert_failed(&finished, "is not the one in");
    assert_failed(&finished, "known_hosts:1");
    assert_eq!(sshd.clients(), ["libssh2"]);
    // The system's ssh refuses, too.
    let config = sshd.config(SYSTEM);
    assert_failed(&run(&Ssh::new(&config, None), "true").await, "verification failed");
    assert!(!sshd.log().contains("Accepted publickey"), "{}", sshd.log());
}

#[tokio::test]
async fn a_host_key_that_is_not_known_is_accepted_only_if_that_is_configured() {
    let sshd = Sshd::start("");
    let known = sshd.path("known_hosts");
    std::fs::remove_file(&known).unwrap();
    let config = sshd.config("");
    assert_failed(&run(&Ssh::new(&config, None), "true").await, "is not known");
    assert!(!known.exists());
    let config = sshd.config("-o StrictHostKeyChecking=accept-new -o HashKnownHosts=yes");
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());
    assert!(std::fs::read_to_string(&known).unwrap().starts_with("|1|"));
    let config = sshd.config("");
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());
    assert_eq!(sshd.clients(), ["libssh2"; 3]);
    // OpenSSH understands what was remembered.
    let config = sshd.config(SYSTEM);
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());
}

#[tokio::test]
async fn another_key_is_accepted_if_any_is() {
    let sshd = Sshd::start("");
    sshd.know("other");
    let config = sshd.config("-o StrictHostKeyChecking=no");
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());
    assert_eq!(sshd.clients(), ["libssh2"]);
}

#[tokio::test]
async fn the_host_is_asked_for_the_key_that_is_known() {
    let sshd = Sshd::start("");
    sshd.know("host_ecdsa");
    let config = sshd.config("");
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());
    assert_eq!(sshd.clients(), ["libssh2"]);
}

#[tokio::test]
async fn keys_come_from_an_agent_and_a_dead_or_silent_one_costs_little() {
    let sshd = Sshd::start("");
    let socket = sshd.path("agent");
    let shown = socket.display().to_string();
    let config = sshd.config("");
    let key = sshd.path("id").display().to_string();

    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a", &shown])
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh-agent");
    eventually("the agent listens", || socket.exists().then_some(()));
    std::fs::copy(&key, sshd.path("copy")).unwrap();
    std::fs::set_permissions(sshd.path("copy"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let add = Command::new("ssh-add")
        .arg(sshd.path("copy"))
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(Stdio::null())
        .status();
    assert!(add.expect("ssh-add").success());
    sshd.configure(&format!(
        "IdentityAgent {shown}\nIdentitiesOnly no\nIdentityFile /nonexistent"
    ));
    let text = std::fs::read_to_string(sshd.path("ssh_config")).unwrap();
    std::fs::write(sshd.path("ssh_config"), text.replacen("IdentitiesOnly yes", "", 1)).unwrap();
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());

    agent.kill().unwrap();
    agent.wait().unwrap();
    sshd.configure(&format!("IdentityAgent {shown}\nIdentityFile {key}"));
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());

    std::fs::remove_file(&socket).ok();
    let _silent = UnixListener::bind(&socket).unwrap();
    assert!(run(&Ssh::new(&config, None), "true").await.status.success());
    assert_eq!(sshd.clients(), ["libssh2"; 3]);
}

#[tokio::test]
async fn the_systems_ssh_tries_what_libssh2_could_not() {
    let sshd = Sshd::start("");
    make_key(&sshd.path("encrypted"), "ed25519", "secret");
    sshd.configure(&format!("IdentityFile {}", sshd.path("encrypted").display()));
    let config = sshd.config("-q");
    let finished = run(&Ssh::new(&config, None), "true").await;
    assert_failed(&finished, "Permission denied");
    assert_eq!(sshd.clients(), ["libssh2", "OpenSSH"]);
}

#[tokio::test]
async fn what_is_configured_for_a_proxy_is_honoured() {
    let sshd = Sshd::start("");
    let proxy = sshd.path("proxy");
    let log = sshd.path("proxied");
    // sshd itself, on standard input and output: no other program is needed.
    let text = format!(
        "#!/bin/sh\necho proxied >>{}\nexec /usr/sbin/sshd -i -f {} -E {}\n",
        shell_quote(log.to_str().unwrap()),
        shell_quote(sshd.path("sshd_config").to_str().unwrap()),
        shell_quote(sshd.path("log").to_str().unwrap()),
    );
    user::write(&proxy, &text);
    std::fs::set_permissions(&proxy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_, _, user) = user::ordinary();
    let prefix = if nix::unistd::geteuid().is_root() {
        format!("runuser -u {user} -- ")
    } else {
        String::new()
    };
    user::write(&log, "");
    let key = sshd.path("id").display().to_string();
    sshd.configure(&format!(
        "IdentityFile {key}\nHostKeyAlias [127.0.0.1]:{}\nProxyCommand {prefix}{}",
        sshd.port,
        proxy.display()
    ));
    let config = sshd.config("");
    let ssh = Ssh::new(&config, None);
    for _ in 0..3 {
        assert_eq!(run(&ssh, "echo there").await.stdout, "there\n");
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "proxied\n");
    assert_eq!(sshd.clients(), ["OpenSSH"]);
}

#[tokio::test]
async fn a_host_that_does_not_answer_costs_one_connect_timeout() {
    let sshd = Sshd::start("");
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = sshd.config(&format!("-p {port} -o ConnectTimeout=2"));
    let ssh = Ssh::new(&config, None);
    let start = Instant::now();
    let (one, two) = tokio::join!(run(&ssh, "true"), run(&ssh, "true"));
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert_failed(&one, "no SSH server answered");
    assert_failed(&two, "no SSH server answered");
    assert!(silent.accept().is_ok());
    assert!(silent.accept().is_err(), "it was asked once");

    // The deadline of the command counts as well.
    let config = sshd.config(&format!("-p {port}"));
    let result = Ssh::new(&config, None)
        .run(&there(), "true", Duration::from_secs(1))
        .await;
    match result {
        Ok(finished) => assert_failed(&finished, "no SSH server answered"),
        Err(error) => assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}"),
    }
}

#[tokio::test]
async fn nobody_listens() {
    let sshd = Sshd::start("");
    let port = ports::free();
    for (options, _) in TRANSPORTS {
        let config = sshd.config(&format!("-q -p {port} {options}"));
        assert_failed(&run(&Ssh::new(&config, None), "true").await, "Connection refused");
    }
    let error = Ssh::new(&sshd.config(&format!("-p {port}")), None)
        .reach(&there(), PATIENCE)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_connection_that_is_lost_is_told_and_made_anew() {
    let sshd = Sshd::start("");
    let config = sshd.config("");
    let ssh = Ssh::new(&config, None);
    ssh.reach(&there(), PATIENCE).await.unwrap();
    let end_sessions = || {
        for session in sshd.sessions() {
            signal("-TERM", &session);
        }
        eventually("the session has ended", || sshd.sessions().is_empty().then_some(()));
    };
    // Between two commands nobody notices.
    end_sessions();
    assert_eq!(run(&ssh, "echo again").await.stdout, "again\n");
    // In the middle of one, what it did is not known.
    let marker = sshd.path("started");
    let command = format!("touch {}; sleep 100", marker.display());
    let lose = async {
        while !marker.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        end_sessions();
    };
    let (finished, ()) = tokio::join!(run(&ssh, &command), lose);
    assert_failed(&finished, "was lost");
    assert_eq!(run(&ssh, "echo again").await.stdout, "again\n");
    assert_eq!(sshd.clients(), ["libssh2"; 3]);
}

#[tokio::test]
async fn a_host_that_falls_silent_is_not_waited_for_until_the_deadline() {
    fall_silent("", "has not answered for", "no SSH server answered").await;
}

#[tokio::test]
async fn the_systems_ssh_gives_up_a_silent_host_too() {
    fall_silent(SYSTEM, "", "timed out").await;
}

/// While a command runs, and before the next one.
async fn fall_silent(options: &str, during: &str, before: &str) {
    let sshd = Sshd::start("");
    let config = sshd.config(&format!("-o ConnectTimeout=2 -o ServerAliveInterval=2 {options}"));
    let ssh = Ssh::new(&config, None);
    ssh.reach(&there(), PATIENCE).await.unwrap();
    let freeze = async {
        let marker = sshd.path("started");
        let command = format!("touch {}; sleep 100", marker.display());
        let started = async {
            while !marker.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let listener = sshd.process.id().to_string();
            let mut frozen = descendants(&listener);
            frozen.push(listener);
            for process in &frozen {
                signal("-STOP", process);
            }
            frozen
        };
        let host = there();
        tokio::join!(ssh.run(&host, &command, Duration::from_secs(1000)), started)
    };
    let (finished, frozen) = tokio::time::timeout(2 * PATIENCE, freeze).await.expect("no long wait");
    assert_failed(&finished.unwrap(), during);
    // The next one makes a new connection.
    assert_failed(&run(&ssh, "true").await, before);
    for process in frozen {
        signal("-CONT", &process);
    }
    assert_eq!(run(&ssh, "echo again").await.stdout, "again\n");
}

#[tokio::test]
async fn options_that_ssh_does_not_know_are_its_error() {
    let sshd = Sshd::start("");
    let config = sshd.config("-o NoSuchOption=1");
    let finished = run(&Ssh::new(&config, None), "true").await;
    assert_eq!(finished.status.code(), Some(255));
    assert!(finished.stderr.to_lowercase().contains("nosuchoption"), "{finished:?}");
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_given_up() {
    let sshd = Sshd::start("");
    let config = sshd.config("");
    let ssh = Ssh::new(&config, None);
    ssh.reach(&there(), PATIENCE).await.unwrap();
    let (host, marker) = (there(), sshd.path("started"));
    // It ends when its output is not taken any more.
    let command = format!("echo $$ >{}; while echo; do sleep 0.1; done", marker.display());
    let started = async {
        while std::fs::read_to_string(&marker).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        result = ssh.run(&host, &command, Duration::from_secs(1000)) => panic!("{result:?}"),
        () = started => {}
    }
    let process = std::fs::read_to_string(&marker).unwrap();
    let process = Path::new("/proc").join(process.trim());
    eventually("the command has ended", || (!process.exists()).then_some(()));
    assert_eq!(run(&ssh, "echo more").await.stdout, "more\n");
    assert_eq!(sshd.clients(), ["libssh2"]);
}

#[tokio::test]
async fn plain_options_are_enough() {
    let sshd = Sshd::start("");
    let (_, _, user) = user::ordinary();
    let config = Config {
        ssh_options: format!(
            "-q -p {} -l {user} -i {} -o UserKnownHostsFile={} -o IdentitiesOnly=yes",
            sshd.port,
            sshd.path("id").display(),
            sshd.path("known_hosts").display()
        ),
        ..Config::default()
    };
    let finished = run(&Ssh::new(&config, None), "echo there").await;
    assert_eq!(finished.stdout, "there\n", "{finished:?}");
    assert_eq!(sshd.clients(), ["libssh2"]);
}

#[tokio::test]
async fn the_remote_user_of_the_command_line_counts() {
    let sshd = Sshd::start("");
    let config = sshd.config("");
    let finished = run(&Ssh::new(&config, Some("nobody-here")), "true").await;
    assert_eq!(finished.status.code(), Some(255), "{finished:?}");
    assert!(sshd.log().contains("user nobody-here"), "{}", sshd.log());
}
