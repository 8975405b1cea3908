//! repmgr.conf: its grammar, the one table of parameters, loading, validation
//! and reload.

mod parameters;

pub use parameters::{
    Config, ConnectionCheckType, FailoverMode, PARAMETERS, Parameter, Reload, ReplicationType, TablespaceMapping,
};
