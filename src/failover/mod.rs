//! What to do, decided: state and observation in, decision with its reason out. Pure.
