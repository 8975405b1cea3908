//! Which program am I? `repmgrd` is the same file under its second name.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let name = repmgr::program_name(&arguments);
    let code = if name == "repmgrd" {
        repmgr::daemon::main(&arguments)
    } else {
        repmgr::commands::main(&arguments)
    };
    ExitCode::from(code.code())
}
