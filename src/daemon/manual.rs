//! The manual page repmgrd(8), made from the definition of the command line.

use clap_mangen::roff::{Roff, bold, italic, roman};

/// The page in the language of man(7).
pub fn manual() -> String {
    let man = clap_mangen::Man::new(super::arguments::command()).section("8").date("");
    let mut page = Vec::new();
    // Writing into memory does not fail.
    let _ = man.render(&mut page);
    // The words that are accepted and ignored are hidden, but clap_mangen's synopsis shows them.
    let page = String::from_utf8_lossy(&page).replace(" [\\fIignored\\fR]", "");
    page + &more()
}

fn more() -> String {
    let mut page = Roff::new();
    let items = |page: &mut Roff, title: &str, items: &[(&str, &str)]| {
        page.control("SH", [title]);
        for (name, what) in items {
            page.control("TP", []);
            page.text([bold(*name)]);
            page.text([roman(*what)]);
        }
    };
    items(
        &mut page,
        "SIGNALS",
        &[
            (
                "SIGHUP",
                "Reads the configuration file again and opens the log file again. A file that is not valid is refused as a \
                 whole, and the old values stay.",
            ),
            (
                "SIGTERM, SIGINT",
                "Ends the daemon. A promotion or a follow under way is completed first.",
            ),
        ],
    );
    items(
        &mut page,
        "ENVIRONMENT",
        &[(
            "NOTIFY_SOCKET, WATCHDOG_USEC",
            "Of a service manager, which is told when the daemon watches, what it does, and that its loop turns; see sd_notify(3).",
        )],
    );
    items(
        &mut page,
        "FILES",
        &[
            (
                "/etc/repmgr.conf",
                "The configuration, unless -f names another file; see repmgr.conf(5).",
            ),
            (
                "/etc/default/repmgrd",
                "On Debian, whether the service repmgrd starts the daemon, and with which configuration file.",
            ),
            (
                "/etc/repmgr/NAME.conf",
                "On Debian, the configuration of the service repmgrd@NAME, of which there may be several.",
            ),
        ],
    );
    page.control("SH", ["EXAMPLES"]);
    for (about, line) in [
        (
            "In the foreground, to see what it does:",
            "repmgrd -f /etc/repmgr.conf --daemonize=false --verbose",
        ),
        ("Where its PID file is:", "repmgrd -f /etc/repmgr.conf --show-pid-file"),
        (
            "As a service on Debian, after /etc/default/repmgrd is written:",
            "systemctl enable --now repmgrd",
        ),
    ] {
        page.control("PP", []);
        page.text([roman(about)]);
        page.control("PP", []);
        page.control("RS", ["4"]);
        page.control("nf", []);
        page.text([roman(line)]);
        page.control("fi", []);
        page.control("RE", []);
    }
    page.control("SH", ["EXIT STATUS"]);
    page.text([
        roman("0 after SIGTERM. The other codes are described in "),
        bold("repmgr"),
        roman("(1)."),
    ]);
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("repmgr"),
        roman("(1), "),
        bold("repmgr.conf"),
        roman("(5), "),
        bold("repmgr-service-status"),
        roman("(1), "),
        italic("/usr/share/doc/repmgr-oxide/failover.md.gz"),
    ]);
    page.render()
}
