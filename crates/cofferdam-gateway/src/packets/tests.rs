use super::*;

const A: &str = "1111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222";
const ZERO: &str = "0000000000000000000000000000000000000000";

/// Packets of these texts; an empty one is a flush.
fn packets(texts: &[&str]) -> Vec<u8> {
    let packet = |text: &&str| match text.len() {
        0 => "0000".into(),
        length => format!("{:04x}{text}", length + 4),
    };
    texts.iter().map(packet).collect::<String>().into_bytes()
}

/// At once, and byte by byte: the same.
#[track_caller]
fn push(bytes: &[u8], why: &str) -> Result<(Push, Fed), PacketFault> {
    let mut push = Push::new();
    let all = push.feed(bytes);
    let mut slow = Push::new();
    let (mut taken, mut fault) = (0, None);
    for byte in bytes {
        match slow.feed(std::slice::from_ref(byte)) {
            Ok(fed) => taken += fed.taken,
            Err(found) => fault = Some(found),
        }
    }
    assert_eq!(all.err(), fault, "{why}: byte by byte");
    let fed = all?;
    assert_eq!((fed.taken, push.updates()), (taken, slow.updates()), "{why}: byte by byte");
    Ok((push, fed))
}

/// `+name` is set, `-name` goes.
#[track_caller]
fn pushes(texts: &[&str], pack: &[u8], want: &str, why: &str) {
    let bytes = [&packets(texts), pack].concat();
    let (push, fed) = push(&bytes, why).expect(why);
    let said = |update: &Update| {
        let sign = if update.deletes() { '-' } else { '+' };
        format!("{sign}{}", update.name.escape_ascii())
    };
    let said: Vec<String> = push.updates().iter().map(said).collect();
    assert_eq!(said.join(" "), want, "{why}");
    assert!(fed.done, "{why}");
    assert_eq!(push.has_pack(), !pack.is_empty(), "{why}");
    assert_eq!(fed.taken, bytes.len() - pack.len().saturating_sub(4), "{why}");
}

#[track_caller]
fn refuses(bytes: &[u8], want: PacketFault, why: &str) {
    let got = push(bytes, why).map(|(push, fed)| (push.updates().to_vec(), fed));
    assert_eq!(got, Err(want), "{why}");
}

#[test]
fn pushes_are_read() {
    let caps = "\0 report-status-v2 side-band-64k object-format=sha1 agent=git/2.47.0";
    let main = format!("{A} {B} refs/heads/main");
    let gone = format!("{A} {ZERO} refs/heads/old");
    let (first, first_gone) = (format!("{main}{caps}"), format!("{gone}{caps}"));
    let pack = b"PACK\0\0\0\x02\0\0\0\0";
    pushes(&[&first, ""], pack, "+refs/heads/main", "one ref");
    pushes(&[&format!("{first}\n"), ""], pack, "+refs/heads/main", "with a line feed");
    pushes(&[&main, ""], pack, "+refs/heads/main", "without capabilities");
    pushes(
        &[&first, &gone, ""],
        pack,
        "+refs/heads/main -refs/heads/old",
        "one that goes beside it",
    );
    pushes(&[&first_gone, ""], b"", "-refs/heads/old", "deletions have no packfile");
    pushes(&[""], b"", "", "git tries credentials");
    pushes(
        &[&format!("shallow {A}"), &first, ""],
        pack,
        "+refs/heads/main",
        "out of a shallow clone",
    );
    let wide = |digit: &str| digit.repeat(64);
    let sha256 = format!("{} {} refs/heads/main\0object-format=sha256", wide("0"), wide("a"));
    pushes(&[&sha256, ""], pack, "+refs/heads/main", "objects of SHA-256");
    let options = format!("{main}\0push-options");
    pushes(&[&options, "", "ci.skip", "a=b c", ""], pack, "+refs/heads/main", "with options");
    let bytes = [&packets(&[&options, "", "ci.skip", ""])[..], pack].concat();
    let (push, _) = push(&bytes, "options").expect("read");
    assert_eq!(push.options(), [b"ci.skip".to_vec()]);
    let half = Push::new().feed(&packets(&[&first]));
    assert_eq!(half.map(|fed| fed.done), Ok(false), "no flush yet");
}

#[test]
fn what_git_reads_in_another_way_is_refused() {
    use PacketFault::{
        Capability, Command, Length, Object, Option, Pack, Ref, Signed, TooLong, TooMany, Twice,
    };
    let main = format!("{A} {B} refs/heads/main");
    let other = format!("{A} {B} refs/heads/other");
    let long = "a".repeat(60_000);
    for (texts, want, why) in [
        (&["push-cert\0report-status"][..], Signed, "a certificate"),
        (&[&format!("{main}\0push-cert=a")], Signed, "announced"),
        (&[&main, "push-cert\0"], Signed, "later"),
        (&[&main, &format!("{other}\0push-options")], Capability, "git reads these too"),
        (&[&format!("{main}\0a\x01b")], Capability, "a control byte"),
        (&[&format!("{main}\0object-format=md5")], Capability, "no format of objects"),
        (&[&format!("{main}\0object-format=sha1 object-format=sha1")], Capability, "twice"),
        (&[&format!("{main}\0object-format=sha256")], Object, "ids of another length"),
        (&[&format!("{A} {B}")], Command, "no ref"),
        (&["hello"], Command, "no command"),
        (&[&format!("{A}  {B} refs/heads/main")], Object, "two blanks"),
        (&[&format!("{} {B} refs/heads/main", &A[1..])], Object, "39 digits"),
        (&[&format!("{} {B} refs/heads/main", A.replace('1', "A"))], Object, "in capitals"),
        (&[&format!("{ZERO} {ZERO} refs/heads/main")], Object, "from nothing to nothing"),
        (&[&format!("{A} {B} HEAD")], Ref, "no name below refs/"),
        (&[&format!("{A} {B} refs/heads/../../x")], Ref, "no name at all"),
        (&[&format!("{A} {B} refs/heads/main ")], Ref, "a blank behind"),
        (&[&format!("{A} {B} refs/heads/main\n\n")], Ref, "two line feeds"),
        (&[&main, &main], Twice, "which of them holds?"),
        (&[&main, &format!("shallow {A}")], Command, "shallow after a command"),
        (&["shallow 1"], Object, "no object"),
        (&[&format!("{main}\0push-options"), "", "a\0b"], Option, "an option with NUL"),
        (&[&format!("{main}\0push-options"), "", "a\nb"], Option, "of two lines"),
        (&[&main, "", "more"], Pack, "another packet for a packfile"),
        (
            &[
                &format!("{main}\0push-options"),
                "",
                &long,
                &long,
                &long,
                &long,
                &long,
                &long,
                &long,
                &long,
                &long,
            ],
            TooLong,
            "nine long options",
        ),
    ] {
        refuses(&packets(texts), want, why);
    }
    for (bytes, want, why) in [
        (&b"0001"[..], Length, "a delimiter"),
        (b"0002", Length, "an end of an answer"),
        (b"0003", Length, "reserved"),
        (b"0004", Length, "an empty packet"),
        (b"fff1", Length, "longer than git has"),
        (b"00x0", Length, "no digits"),
        (b"PACK", Length, "a packfile without commands"),
        (b" 005a", Length, "a blank"),
        (b"+005a", Length, "a sign"),
    ] {
        refuses(bytes, want, why);
    }
    let many: Vec<String> =
        (0..=UPDATES_MAX).map(|at| format!("{A} {B} refs/heads/{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refuses(&packets(&many), TooMany, "one too many");
    let most = [packets(&many[..UPDATES_MAX]), b"0000PACK".to_vec()].concat();
    assert!(push(&most, "the most").is_ok_and(|(push, _)| push.updates().len() == UPDATES_MAX));
}

#[test]
fn fetches_are_read() {
    use PacketFault::{Capability, Command, Length, Object};
    let wants = |rest: &str| packets(&[&format!("want {A}{rest}")]);
    for (bytes, want, why) in [
        (wants(" multi_ack_detailed thin-pack agent=git/2.47\n"), Ok(Some(Fetches::Wants)), "v0"),
        (wants("\n"), Ok(Some(Fetches::Wants)), "without capabilities"),
        (wants("  a\n"), Ok(Some(Fetches::Wants)), "with two blanks"),
        (packets(&["command=ls-refs\n"]), Ok(Some(Fetches::LsRefs)), "v2"),
        (packets(&["command=fetch"]), Ok(Some(Fetches::Fetch)), "v2, no line feed"),
        (packets(&["command=object-info"]), Ok(Some(Fetches::ObjectInfo)), "v2, sizes"),
        (packets(&[""]), Ok(Some(Fetches::Nothing)), "git tries credentials"),
        (b"0014comm".to_vec(), Ok(None), "not yet"),
        (packets(&["command=push"]), Err(Command), "no such command"),
        (packets(&["command=fetch "]), Err(Command), "a blank"),
        (packets(&["agent=git/2.47"]), Err(Command), "the command stands first"),
        (packets(&[&format!("{A} {B} refs/heads/main")]), Err(Command), "a push"),
        (packets(&["want 1"]), Err(Object), "no object"),
        (wants("\0a"), Err(Object), "a push's capabilities"),
        (wants(" a\x01"), Err(Capability), "a control byte"),
        (b"0001".to_vec(), Err(Length), "a delimiter"),
        (b"\x1f\x8b\x08\x00".to_vec(), Err(Length), "gzip"),
    ] {
        let mut fetch = Fetch::new();
        let all = fetch.feed(&bytes);
        assert_eq!(all.map(|_| fetch.asks()), want, "{why}");
        let mut slow = Fetch::new();
        let mut last = Ok(Fed { taken: 0, done: false });
        for byte in &bytes {
            last = slow.feed(std::slice::from_ref(byte));
        }
        assert_eq!(last.map(|_| slow.asks()), want, "{why}: byte by byte");
        if all.is_ok_and(|fed| fed.done) {
            let after = [bytes.as_slice(), b"0000"].concat();
            assert_eq!(Fetch::new().feed(&after), all, "{why}: the next packet is not read");
        }
    }
}

#[test]
fn what_was_refused_stays_so() {
    let mut push = Push::new();
    assert_eq!(push.feed(b"0001").map(drop), Err(PacketFault::Length));
    assert_eq!(push.feed(b"0000").map(drop), Err(PacketFault::Length), "no second try");
    let mut fetch = Fetch::new();
    assert_eq!(fetch.feed(b"0001").map(drop), Err(PacketFault::Length));
    assert_eq!(fetch.feed(b"0000").map(drop), Err(PacketFault::Length), "no second try");
}
