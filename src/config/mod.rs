//! repmgr.conf: its grammar, the one table of parameters, loading, validation
//! and reload.
//!
//! `grammar` knows lines, `include` files, `values` what a text means for a
//! parameter, `validate` what must hold between parameters; `load` puts them
//! together and reports. What a parameter *does* is the business of the rooms
//! that use it.

mod dump;
pub mod grammar;
mod include;
mod load;
mod manual;
mod manual_page;
mod numbers;
mod parameters;
mod reload;
mod validate;
mod values;

pub use dump::dump;
pub use load::{LoadError, Loaded, PACKAGED_FILE, RETIRED, SYSCONFDIR, absolute, load, load_again};
pub use manual::{chapter, sample};
pub use manual_page::manual_page;
pub use numbers::check_delay;
pub use parameters::{
    Config, ConnectionCheckType, FailoverMode, Kind, PARAMETERS, Parameter, Rejoin, Reload, ReplicationType,
    SynchronousMode, TablespaceMapping, WriteRight, parameter,
};
pub use reload::{Change, Changes, compare};
pub use validate::missing_for_automatic_failover;
