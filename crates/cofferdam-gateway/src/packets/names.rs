//! Names of refs, by git's own rules.

/// Longest name of a ref. Bytes. A ref is a file's path to most hosts, which is bounded alike.
const NAME_BYTES_MAX: usize = 1_024;

/// Whether git would have such a ref, and receive it by a push (`git-check-ref-format(1)`;
/// `update()` of git's receive-pack: below `refs/`, with two words or more after it).
#[must_use]
pub fn is_ref(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(b"refs/") else { return false };
    let odd = |byte: &u8| byte.is_ascii_control() || b" ~^:?*[\\".contains(byte);
    let word = |word: &[u8]| !word.is_empty() && !word.starts_with(b".") && !is_locked(word);
    name.len() <= NAME_BYTES_MAX
        && rest.contains(&b'/')
        && rest.split(|byte| *byte == b'/').all(word)
        && !name.iter().any(odd)
        && !name.ends_with(b".")
        && !name.windows(2).any(|pair| pair == b".." || pair == b"@{")
}

/// Git keeps its own locks under such names.
fn is_locked(word: &[u8]) -> bool {
    word.ends_with(b".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_refs_are_gits() {
        let long = |length: usize| [b"refs/heads/", "a".repeat(length - 11).as_bytes()].concat();
        for (name, want, why) in [
            (&b"refs/heads/main"[..], true, "a branch"),
            (b"refs/heads/feature/a-b_c.d", true, "with a slash"),
            (b"refs/tags/v1.0", true, "a tag"),
            (b"refs/for/main%topic=a", true, "for review"),
            (b"refs/heads/b\xc3\xbccher", true, "not ASCII"),
            (b"refs/heads/@", true, "one sign in a word is a name"),
            (&long(1_024), true, "the longest"),
            (&long(1_025), false, "one byte more"),
            (b"", false, "nothing"),
            (b"HEAD", false, "no push changes it"),
            (b"refs/main", false, "one word"),
            (b"refs/", false, "none"),
            (b"refs/heads/", false, "an empty word"),
            (b"refs//main", false, "in the middle"),
            (b"/refs/heads/main", false, "a slash first"),
            (b"refs/heads/../main", false, "another folder"),
            (b"refs/heads/.main", false, "hidden"),
            (b"refs/heads/a..b", false, "a range"),
            (b"refs/heads/main.", false, "a dot last"),
            (b"refs/heads/main.lock", false, "a lock"),
            (b"refs/heads/a.lock/b", false, "in the middle"),
            (b"refs/heads/a@{1}", false, "an entry of the log"),
            (b"refs/heads/a b", false, "a blank"),
            (b"refs/heads/a\x7f", false, "DEL"),
            (b"refs/heads/a\nb", false, "a line feed"),
            (b"refs/heads/a\\b", false, "a backslash"),
            (b"refs/heads/a*", false, "a pattern"),
            (b"refs/heads/a:b", false, "a colon"),
            (b"REFS/heads/main", false, "in capitals"),
        ] {
            assert_eq!(is_ref(name), want, "{why}: {}", name.escape_ascii());
        }
    }
}
