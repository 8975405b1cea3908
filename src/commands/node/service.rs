//! `repmgr node service`: shows or runs the commands that control this node's
//! server. Other nodes call it in a switchover, to stop the old primary.

use std::path::Path;

use crate::commands::{Context, connecting};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::server_control::{self, Action};
use crate::output;
use crate::postgres::{Connection, Deadlines};
use crate::{detail, info, notice, warning};

/// The actions with their words, in the order of the list.
const ACTIONS: [(&str, Action); 5] = [
    ("start", Action::Start),
    // Whoever asks for it over SSH waits for the end of the server by other means.
    ("stop", Action::StopNoWait),
    ("restart", Action::Restart),
    ("reload", Action::Reload),
    ("promote", Action::Promote),
];

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let action = options.action.as_deref().map(action_named).transpose()?;
    let directory = server_control::configuration_directory(config);
    if options.list_actions {
        output::print(&list(config, directory, action));
        return Ok(ExitCode::Success);
    }
    let Some(action) = action else {
        // The original runs an empty command and ends with success.
        notice!("nothing to do");
        crate::hint!("name an action with --action, or see them all with --list-actions");
        return Ok(ExitCode::Success);
    };
    let stops = matches!(action, Action::StopNoWait | Action::Restart);
    if options.checkpoint && stops {
        checkpoint(context).await?;
    }
    let command = server_control::command(config, action, directory);
    if options.dry_run {
        info!("would execute server command \"{command}\"");
        return Ok(ExitCode::Success);
    }
    detail!("executing server command \"{command}\"");
    // A configured command may wait for the server where pg_ctl is told not to.
    let limit = action.default_limit().max(Action::Stop.default_limit());
    server_control::run(config, action, directory, limit).await?;
    Ok(ExitCode::Success)
}

fn action_named(word: &str) -> Result<Action> {
    let known = ACTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    known.map(|(_, action)| *action).ok_or_else(|| {
        Error::bad_config(format!("unknown action \"{word}\""))
            .hint("valid actions are start, stop, restart, reload and promote")
    })
}

fn list(config: &Config, directory: &Path, only: Option<Action>) -> String {
    let command = |action| server_control::command(config, action, directory);
    match only {
        Some(action) => format!("{}\n", command(action)),
        None => {
            let lines = ACTIONS.map(|(name, action)| format!("{name:>9}: \"{}\"\n", command(action)));
            format!(
                "Following commands would be executed for each action:\n\n{}\n",
                lines.concat()
            )
        }
    }
}

/// Makes the checkpoint, so that the server's own at its end is short. Only a server that cannot be
/// reached is an error; a role that may not is none.
async fn checkpoint(context: &Context) -> Result<()> {
    let mut conninfo = connecting::local_conninfo(context)?;
    if let Some(superuser) = &context.options.superuser {
        conninfo = conninfo.for_user(superuser);
    }
    let mut connection = Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| connecting::unreachable(&connecting::local_title(context), &conninfo, &error))?;
    let without = match connection.may_checkpoint().await {
        Ok(true) if context.options.dry_run => {
            info!("would issue a CHECKPOINT");
            return Ok(());
        }
        Ok(true) => {
            notice!("issuing a CHECKPOINT");
            connection.checkpoint().await.err().map(|error| error.to_string())
        }
        Ok(false) => Some("the role may not; -S/--superuser names one that may, or grant it pg_checkpoint".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = without {
        warning!("no CHECKPOINT was made; the server may take longer to stop");
        detail!("{reason}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_actions_are_listed_in_the_form_of_the_original() {
        let config = Config {
            pg_bindir: "/pg".into(),
            service_reload_command: "sudo systemctl reload postgresql".to_owned(),
            ..Config::default()
        };
        let directory = Path::new("/data");
        insta::assert_snapshot!(list(&config, directory, None), @r#"
        Following commands would be executed for each action:

            start: "/pg/pg_ctl -w -D /data start"
             stop: "/pg/pg_ctl -D /data -W -m fast stop"
          restart: "/pg/pg_ctl -w -D /data restart"
           reload: "sudo systemctl reload postgresql"
          promote: "/pg/pg_ctl -w -D /data promote"
        "#);
        assert!(list(&config, directory, None).ends_with("promote\"\n\n"));
        let only = list(&config, directory, Some(action_named("STOP").unwrap()));
        assert_eq!(only, "/pg/pg_ctl -D /data -W -m fast stop\n");
        assert_eq!(action_named("stopp").unwrap_err().exit_code, ExitCode::BadConfig);
    }
}
