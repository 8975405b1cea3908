//! `repmgr witness`: servers of their own that only take part in majorities.

pub mod register;
pub mod unregister;
