//! The known word that a mistyped one probably means.

/// The nearest of the known words, if one is near enough to be suggested: two changes at most, and no more than a third
/// of the word. Upper and lower case are the same.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let enough = (typed.chars().count() / 3).min(2);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&typed, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `; did you mean "…"?`, or nothing.
pub fn suggestion<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, known)
        .map(|word| format!("; did you mean \"{word}\"?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found_and_what_is_far_is_not() {
        let words = ["clone", "register", "unregister", "promote", "show"];
        for (typed, expected) in [
            ("clon", Some("clone")),
            ("Promoet", Some("promote")),
            ("regster", Some("register")),
            ("unregistre", Some("unregister")),
            ("shwo", Some("show")),
            ("demote", None),
            ("", None),
            ("xy", None),
        ] {
            assert_eq!(nearest(typed, words), expected, "{typed}");
        }
        assert_eq!(suggestion("clon", words), "; did you mean \"clone\"?");
        assert_eq!(suggestion("archive", words), "");
    }
}
