//! The verbs of `repmgr`: one folder a noun, one file a verb.
//!
//! `option_table` and `catalogue` are the tables of options and commands;
//! parser, checks, help and man pages are made from them. `program` does what
//! comes before a verb and after it.

pub mod catalogue;
mod chapter;
mod checks;
pub mod cluster;
mod completion;
pub mod connecting;
pub mod daemon;
mod help;
mod manual;
pub mod node;
pub mod option_entry;
pub mod option_table;
mod options;
mod overview;
mod parse;
pub mod primary;
mod program;
pub mod records;
pub mod service;
mod source;
pub mod standby;
pub mod witness;
pub mod write_right;

use std::path::PathBuf;

pub use chapter::chapter;
pub use completion::completion;
pub use manual::manual;
pub use options::{ColumnFormat, Options};
pub use parse::grammar;
pub use program::main;

use catalogue::Command;

use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::Result;
use crate::exit_code::ExitCode;

/// What a verb gets: the options, the configuration and where it came from.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The command line.
    pub options: Options,
    /// The configuration; defaults if there is no file.
    pub config: Config,
    /// The absolute path of repmgr.conf, if one was found.
    pub config_file: Option<PathBuf>,
    /// The connection that `-d -h -p -U` and the HOST of `standby clone` describe, if any was given.
    pub source: Option<Conninfo>,
}

/// Runs a verb.
async fn run(command: Command, context: &Context) -> Result<ExitCode> {
    match command {
        Command::PrimaryRegister => primary::register::run(context).await,
        Command::PrimaryUnregister => primary::unregister::run(context).await,
        Command::StandbyClone => standby::clone::run(context).await,
        Command::StandbyRegister => standby::register::run(context).await,
        Command::StandbyUnregister => standby::unregister::run(context).await,
        Command::StandbyPromote => standby::promote::run(context).await,
        Command::StandbyFollow => standby::follow::run(context).await,
        Command::StandbySwitchover => standby::switchover::run(context).await,
        Command::WitnessRegister => witness::register::run(context).await,
        Command::WitnessUnregister => witness::unregister::run(context).await,
        Command::ClusterShow => cluster::show::run(context).await,
        Command::ClusterEvent => cluster::event::run(context).await,
        Command::ClusterMatrix => cluster::matrix::run(context).await,
        Command::ClusterCrosscheck => cluster::crosscheck::run(context).await,
        Command::ClusterCleanup => cluster::cleanup::run(context).await,
        Command::NodeCheck => node::check::run(context).await,
        Command::NodeStatus => node::status::run(context).await,
        Command::NodeRejoin => node::rejoin::run(context).await,
        Command::NodeService => node::service::run(context).await,
        Command::NodeControl => node::control::run(context).await,
        Command::ServiceStatus => service::status::run(context).await,
        Command::ServicePause => service::pause::run(context, true).await,
        Command::ServiceUnpause => service::pause::run(context, false).await,
        Command::DaemonStart => daemon::start::run(context).await,
        Command::DaemonStop => daemon::stop::run(context).await,
        Command::WriteRightEnable => write_right::switch::run(context, true).await,
        Command::WriteRightDisable => write_right::switch::run(context, false).await,
        Command::WriteRightForce => write_right::force::run(context).await,
        Command::WriteRightShow => write_right::show::run(context).await,
    }
}
