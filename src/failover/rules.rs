//! The rules: one table, from which the names in the log and the state table of the manual come.

macro_rules! rules {
    ($($variant:ident = $name:literal, $from:literal => $to:literal, $sentence:literal;)+) => {
        /// A rule of the failover core. The name is stable: logs and events carry it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $sentence] $variant,)+ }

        impl Rule {
            /// All of them, in the order of the manual.
            pub const ALL: &[Rule] = &[$(Rule::$variant,)+];
            /// Its stable name.
            pub fn name(self) -> &'static str { match self { $(Rule::$variant => $name,)+ } }
            /// What it says.
            pub fn sentence(self) -> &'static str { match self { $(Rule::$variant => $sentence,)+ } }
            /// The states in which it applies, `|` between them.
            pub fn from(self) -> &'static str { match self { $(Rule::$variant => $from,)+ } }
            /// The states it may lead to, `|` between them; `=` is the same one.
            pub fn to(self) -> &'static str { match self { $(Rule::$variant => $to,)+ } }
        }
    };
}

rules! {
    Nothing = "nothing", "any" => "=", "Nothing has changed.";
}
