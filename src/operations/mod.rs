//! The long procedures: plans of small steps that can be run again.

pub mod slots;
