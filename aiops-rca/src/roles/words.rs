//! Names as words.

/// A name or phrase, split into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// Splits at everything but letters and digits, and at `camelCase`; lower case, without plural `s`.
    pub(crate) fn of(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut after_lower = false;
        for c in text.chars() {
            if !c.is_alphanumeric() || (c.is_uppercase() && after_lower) {
                push(&mut words, &mut word);
            }
            if c.is_alphanumeric() {
                word.extend(c.to_lowercase());
            }
            after_lower = c.is_lowercase() || c.is_numeric();
        }
        push(&mut words, &mut word);
        Self(words)
    }

    /// Whether `phrase` stands in it, its words in a row.
    pub(crate) fn contain(&self, phrase: &Self) -> bool {
        !phrase.0.is_empty() && self.0.windows(phrase.0.len()).any(|w| w == phrase.0.as_slice())
    }

    /// Whether the last word is one of `words`.
    pub(crate) fn end_with(&self, words: &[&str]) -> bool {
        self.0.last().is_some_and(|last| words.contains(&last.as_str()))
    }

    /// Whether there is no word.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of words.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn push(words: &mut Vec<String>, word: &mut String) {
    if word.is_empty() {
        return;
    }
    let mut word = std::mem::take(word);
    if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    words.push(word);
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn names_of_all_conventions_become_the_same_words() {
        let words = Words::of("http server request duration second");
        assert_eq!(Words::of("http_server_requests_duration_seconds"), words);
        assert_eq!(Words::of("http.server.request.duration.seconds"), words);
        assert_eq!(Words::of("httpServerRequestDurationSeconds"), words);
        assert_eq!(Words::of("process"), Words::of("PROCESS"));
    }

    #[test]
    fn phrases_are_words_in_a_row() {
        let words = Words::of("pool_connections_in_use");
        assert!(words.contain(&Words::of("in use")));
        assert!(!words.contain(&Words::of("use in")));
        assert!(!words.contain(&Words::of("pool use")));
        assert!(!words.contain(&Words::of("")));
        assert!(!Words::of("").contain(&words));
        assert!(Words::of("∞ — ☃").is_empty());
    }
}
