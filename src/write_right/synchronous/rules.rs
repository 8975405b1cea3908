//! The rules: one table, from which the names in the log and in the manual come.

use crate::rules::rules;

rules! {
    "A rule of the synchronous mode. The name is stable: the log carries it.";
    Off = "synchronous-off", "The mode is off.";
    SwitchingOff = "synchronous-switching-off", "The mode was switched off: the holder alone is remembered before the setting is given back, and nobody afterwards.";
    PayloadAwaited = "synchronous-payload-awaited", "A majority has not yet accepted what it is to remember.";
    Begins = "synchronous-begins", "The mode begins: until standbys have all commits, the holder alone is remembered.";
    Foreign = "synchronous-foreign-setting", "The setting is not the one that is remembered: until that is put right, the holder alone is remembered.";
    Widening = "synchronous-widening", "The setting is to change: what will hold before and after that is remembered first.";
    Alone = "synchronous-alone", "No synchronous standby is left: the holder alone is remembered before the setting is emptied.";
    Setting = "synchronous-setting", "The setting changes; what is remembered holds with it, too.";
    SettingAwaited = "synchronous-setting-awaited", "The server, or a walsender of it, does not go by the new setting yet.";
    CatchingUp = "synchronous-catching-up", "Too few of the synchronous standbys have what was written before the setting changed.";
    Narrowing = "synchronous-narrowing", "The synchronous standbys have all that was written before: from now on they alone are remembered.";
    Steady = "synchronous-steady", "The setting and what is remembered are the same.";
    TooFew = "synchronous-too-few", "The mode is strict and too few standbys are there: writes wait for them.";
}
