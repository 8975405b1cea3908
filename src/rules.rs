//! What a table of rules is: each has a stable name, by which logs and events call it, and a sentence for the manual. The
//! tables themselves are where the rules are followed.

/// Makes the enum `Rule` from lines of variant, name and sentence.
macro_rules! rules {
    ($about:literal; $($variant:ident = $name:literal, $sentence:literal;)+) => {
        #[doc = $about]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $sentence] $variant,)+ }

        impl Rule {
            /// All of them, in the order of the manual.
            pub const ALL: &[Rule] = &[$(Rule::$variant,)+];
            /// Its stable name.
            pub fn name(self) -> &'static str { match self { $(Rule::$variant => $name,)+ } }
            /// What it says.
            pub fn sentence(self) -> &'static str { match self { $(Rule::$variant => $sentence,)+ } }
        }

        #[cfg(test)]
        #[test]
        fn rules_are_told_apart() {
            crate::rules::are_told_apart(Rule::ALL.iter().map(|rule| (rule.name(), rule.sentence())));
        }
    };
}
pub(crate) use rules;

/// Panics unless names are unique and plain, and sentences whole.
#[cfg(test)]
pub fn are_told_apart(rules: impl Iterator<Item = (&'static str, &'static str)>) {
    let mut names = std::collections::BTreeSet::new();
    for (name, sentence) in rules {
        assert!(names.insert(name), "two rules are called {name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        assert!(sentence.ends_with('.'), "{name}: {sentence}");
    }
}
