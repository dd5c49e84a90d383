//! What the kernel says of a process below `/proc`, as text. It reads no file.

/// The value of a row of a status (`proc_pid_status(5)`); another, the name above all, may be of any bytes.
#[must_use]
pub fn value<'t>(status: &'t [u8], row: &str) -> Option<&'t str> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(row.as_bytes()))?;
    std::str::from_utf8(value).ok().map(str::trim)
}

/// Whom a signal waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The thread that was asked about.
    Thread,
    /// Any of its process.
    Process,
}

/// Whether a signal waits that the thread of this status neither blocks nor ignores.
#[must_use]
pub fn heard(status: &[u8]) -> Option<Whom> {
    let set = |row: &str| {
        let value = value(status, row);
        value.and_then(|value| u64::from_str_radix(value, 16).ok()).unwrap_or(0)
    };
    let heard = !set("SigBlk:") & !set("SigIgn:");
    if set("SigPnd:") & heard != 0 {
        return Some(Whom::Thread);
    }
    (set("ShdPnd:") & heard != 0).then_some(Whom::Process)
}

/// The longest file that may be made, of `limits` (`proc_pid_limits(5)`). Bytes; `u64::MAX` without a limit.
#[must_use]
pub fn longest_file(limits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(limits).ok()?;
    let row = text.lines().find_map(|line| line.strip_prefix("Max file size"))?;
    let soft = row.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

/// The number of the controlling terminal, of `stat` (`proc_pid_stat(5)`), where that is a pseudo-terminal
/// (`pts(4)`).
#[must_use]
pub fn pseudo_terminal(stat: &[u8]) -> Option<u32> {
    // The name, in parentheses, may hold anything.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let device: u32 = rest.split_whitespace().nth(4)?.parse::<i32>().ok()?.cast_unsigned();
    let (major, minor) = ((device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xF_FF00));
    // `devpts` has the major numbers 136 to 143.
    (136..144).contains(&major).then(|| minor + ((major - 136) << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_status() {
        let status = b"Name:\tU\xffmask: 7\nUmask:\t0022\nTgid:\t41\n";
        assert_eq!(value(status, "Umask:"), Some("0022"));
        assert_eq!(value(status, "Tgid:"), Some("41"));
        assert_eq!(value(status, "Pid:"), None);
    }

    #[test]
    fn whom_a_signal_waits_for() {
        let of = |own: &str, shared: &str, blocked: &str, ignored: &str| {
            let text = format!(
                "SigPnd:\t{own}\nShdPnd:\t{shared}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\n"
            );
            heard(text.as_bytes())
        };
        assert_eq!(of("0", "0", "0", "0"), None);
        assert_eq!(of("4000", "0", "0", "0"), Some(Whom::Thread));
        assert_eq!(of("0", "4000", "0", "0"), Some(Whom::Process));
        assert_eq!(of("4000", "4000", "4000", "0"), None, "blocked");
        assert_eq!(of("4000", "4000", "0", "4000"), None, "ignored");
        assert_eq!(of("4000", "1", "4000", "0"), Some(Whom::Process));
    }

    #[test]
    fn limits_and_terminals() {
        let row = |soft: &str| {
            longest_file(
                format!("Max cpu time  1 2 s\nMax file size   {soft}  9 bytes\n").as_bytes(),
            )
        };
        assert_eq!(row("unlimited"), Some(u64::MAX));
        assert_eq!(row("4096"), Some(4096));
        assert_eq!(row("x"), None);
        assert_eq!(longest_file(b"Max cpu time 1 2 s\n"), None);
        let stat =
            |device: i32| pseudo_terminal(format!("7 (a) b) (c) S 1 7 7 {device} 7 0").as_bytes());
        assert_eq!(stat(0x8803), Some(3), "pts/3");
        assert_eq!(stat(0x8901), Some((1 << 20) + 1), "of the next major number");
        assert_eq!(stat(0x0401), None, "a console");
        assert_eq!(stat(0), None, "none");
    }
}
