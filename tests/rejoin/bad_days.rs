//! Days on which a rejoin must refuse, and change nothing.
