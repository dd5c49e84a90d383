//! Denials as the log of macOS tells them.
//!
//! A denial is a message of the kernel's: `Sandbox: cat(123) deny(1) file-read-data /path`, and in a line
//! of its own the tag that the profile gave. The names in it are the workload's to choose.

/// Longest message that is read. Bytes; paths have at most 1,024 on macOS.
pub const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// One act that Seatbelt denied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Denial {
    /// What the process calls itself, as the log has it.
    pub process: String,
    /// Its number.
    pub pid: u32,
    /// The operation, such as `file-read-data`.
    pub operation: String,
    /// What it was about: a path, an address, a name; empty where the log names nothing.
    pub target: String,
    /// How often it was told: 1, or as many as the log has put together.
    pub times: u32,
    /// Whether the message can be read in one way alone: a process may call itself like the rest of one.
    pub is_certain: bool,
}

/// The predicate for `log stream --style ndjson --predicate …`: messages of the kernel's sandbox with
/// this tag. Messages of programs are not among them, whatever they say.
#[must_use]
pub fn predicate(tag: &str) -> String {
    format!(
        "processID == 0 AND senderImagePath CONTAINS \"/Sandbox\" AND eventMessage ENDSWITH \"{tag}\""
    )
}

/// The denial that `message`, an `eventMessage` of the log, tells; `None` where it is none of the profile
/// with this tag.
#[must_use]
pub fn denial(message: &str, tag: &str) -> Option<Denial> {
    if message.len() > MESSAGE_BYTES_MAX || tag.is_empty() {
        return None;
    }
    let told = message.strip_suffix(tag)?.strip_suffix('\n')?;
    let (times, told) = match told.strip_prefix("Sandbox: ") {
        Some(rest) => (1, rest),
        None => repeated(told)?,
    };
    let mut found: Option<Denial> = None;
    for (at, _) in told.match_indices('(') {
        let Some((process, rest)) = told.split_at_checked(at) else { continue };
        let Some((pid, operation, target)) = behind(rest) else { continue };
        match &mut found {
            None => {
                let (process, operation, target) =
                    (process.to_owned(), operation.to_owned(), target.to_owned());
                found = Some(Denial { process, pid, operation, target, times, is_certain: true });
            }
            Some(first) => first.is_certain = false,
        }
    }
    found
}

/// `N duplicate reports for Sandbox: …`
fn repeated(told: &str) -> Option<(u32, &str)> {
    let (count, rest) = told.split_once(' ')?;
    let rest = rest.strip_prefix("duplicate report")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest).strip_prefix(" for Sandbox: ")?;
    Some((number(count)?, rest))
}

/// `(PID) deny(N) OPERATION TARGET`
fn behind(rest: &str) -> Option<(u32, &str, &str)> {
    let (pid, rest) = rest.strip_prefix('(')?.split_once(')')?;
    let (level, rest) = rest.strip_prefix(" deny(")?.split_once(") ")?;
    number(level)?;
    let (operation, target) = rest.split_once(' ').unwrap_or((rest, ""));
    let known = |letter: u8| letter.is_ascii_lowercase() || b"-*0123456789".contains(&letter);
    let named = !operation.is_empty() && operation.bytes().all(known);
    named.then_some((number(pid)?, operation, target))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "cofferdam-00000000000000ab";

    type Read<'d> = (&'d str, u32, &'d str, &'d str, u32, bool);

    #[track_caller]
    fn check(message: &str, want: Option<Read<'_>>, why: &str) {
        let got = denial(message, TAG);
        let got = got.as_ref().map(|denial| {
            let Denial { process, pid, operation, target, times, is_certain } = denial;
            (process.as_str(), *pid, operation.as_str(), target.as_str(), *times, *is_certain)
        });
        assert_eq!(got, want, "{why}: {message:?}");
    }

    #[test]
    fn what_the_log_tells() {
        let told = |text: &str| format!("{text}\n{TAG}");
        let cat = |text: &str| told(&format!("Sandbox: cat(123) deny(1) {text}"));
        let one = |operation, target| Some(("cat", 123, operation, target, 1, true));
        check(&cat("file-read-data /a/b"), one("file-read-data", "/a/b"), "a path");
        check(&cat("file-read-data /a b"), one("file-read-data", "/a b"), "with a blank");
        check(&cat("mach-lookup com.apple.x"), one("mach-lookup", "com.apple.x"), "a name");
        check(&cat("process-fork"), one("process-fork", ""), "nothing");
        check(&cat("network-outbound*:53"), None, "no operation");
        check(&cat("file-read* "), one("file-read*", ""), "a class");
        let twice = told("2 duplicate reports for Sandbox: cat(123) deny(1) file-read-data /a");
        check(&twice, Some(("cat", 123, "file-read-data", "/a", 2, true)), "put together");
        let once = told("1 duplicate report for Sandbox: cat(123) deny(1) file-read-data /a");
        check(&once, Some(("cat", 123, "file-read-data", "/a", 1, true)), "one of them");
        let spaced = told("Sandbox: Google Chrome (x)(7) deny(1) lsopen");
        check(
            &spaced,
            Some(("Google Chrome (x)", 7, "lsopen", "", 1, true)),
            "a name with brackets",
        );
    }

    #[test]
    fn what_hostile_names_do_not_do() {
        let cat = "Sandbox: cat(123) deny(1) file-read-data";
        for (message, why) in [
            (format!("{cat} /a"), "no tag"),
            (format!("{cat} /a\n{TAG}b"), "another's"),
            (format!("{cat} /a\n{TAG}\n"), "not at its end"),
            (format!("{cat} /a {TAG}"), "in a path"),
            (format!("Sandbox: cat(-1) deny(1) file-read-data /a\n{TAG}"), "no number"),
            (format!("Sandbox: cat(99999999999) deny(1) file-read-data /a\n{TAG}"), "too large"),
            (format!("Sandbox: cat(1) allow(1) file-read-data /a\n{TAG}"), "no denial"),
            (format!("cat(1) deny(1) file-read-data /a\n{TAG}"), "nobody's"),
            (format!("{cat} /{}\n{TAG}", "a".repeat(MESSAGE_BYTES_MAX)), "too long"),
        ] {
            check(&message, None, why);
        }
        // A file with the tag in its name: the last line is the kernel's, the rest is the name.
        let inner = format!("/a\n{TAG}\nSandbox: sh");
        let want = Some(("cat", 123, "file-read-data", inner.as_str(), 1, true));
        check(&format!("{cat} {inner}\n{TAG}"), want, "a path of three lines");
        // Somebody who calls itself, or a file, like another denial is told as uncertain.
        for forged in [
            format!("Sandbox: a(1) deny(1) x /(2) deny(1) file-read-data /b\n{TAG}"),
            format!("{cat} /b(1) deny(1) lsopen\n{TAG}"),
        ] {
            let read = denial(&forged, TAG).unwrap();
            assert!(!read.is_certain, "{read:?}");
        }
    }

    /// Whatever bytes come, it answers, and what it says stands in the message.
    #[test]
    fn any_message_is_read_or_not() {
        let mut seed: u64 = 0x5eed;
        let parts = [
            "Sandbox: ",
            "cat",
            "(",
            ")",
            "1",
            " deny(",
            ") ",
            "file-read-data",
            "\n",
            TAG,
            "é",
            "\0",
            " ",
        ];
        let mut read = 0;
        for _ in 0..20_000 {
            let mut message = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                message += parts[(seed >> 33) as usize % parts.len()];
            }
            for message in
                [message.clone(), format!("Sandbox: cat(1) deny(1) lsopen {message}\n{TAG}")]
            {
                let Some(denial) = denial(&message, TAG) else { continue };
                read += 1;
                let rest = format!("{}({}) deny(", denial.process, denial.pid);
                assert!(message.contains(&rest) && message.contains(&denial.target), "{message:?}");
            }
        }
        assert!(read > 10_000, "{read}");
    }
}
