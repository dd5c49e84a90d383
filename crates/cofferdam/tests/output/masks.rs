//! Strings that must not leave: masked, on record, and said first.

use super::*;

const PLANTED: &str = "[canary]\ninvoice = \"no-such-invoice-4711\"";

#[test]
fn a_canary_is_masked_wherever_and_however_it_is_written() {
    for (script, encoding, stream, why) in [
        ("echo before no-such-invoice-4711 after", "plain", "standard output", "plain"),
        (
            "echo before no-such-invoice-4711 after >&2",
            "plain",
            "standard error",
            "the other stream",
        ),
        (
            "printf 'before no-such-'; printf 'invoice-4711 after\\n'",
            "plain",
            "standard output",
            "split over writes",
        ),
        (
            "for letter in b e f o r e ' ' n o - s u c h - i n v o i c e - 4 7 1 1 ' ' a f t e r; do printf \
             \"$letter\"; done",
            "plain",
            "standard output",
            "letter by letter",
        ),
        (
            "printf 'before '; printf no-such-invoice-4711 | base64; echo after",
            "base64",
            "standard output",
            "in base64",
        ),
        (
            "printf 'before '; printf 12no-such-invoice-4711 | base64; echo after",
            "base64",
            "standard output",
            "in base64, at another place",
        ),
        (
            "printf 'before '; printf no-such-invoice-4711 | od -An -v -tx1 | tr -d ' \\n'; echo after",
            "hex",
            "standard output",
            "in hexadecimal digits",
        ),
    ] {
        let place = place(PLANTED);
        let outside = place.outside(script).works(why);
        let ran = inside(&place, &[], script).works(why);
        let shown = format!("{}{}", ran.out, ran.err);
        let plain = format!("{}{}", outside.out, outside.err);
        let secret: String = plain.replace("before ", "").replace("after", "").trim().into();
        assert!(!shown.contains(secret.trim_end_matches('=')), "{why}: {ran:?}");
        assert!(
            shown.contains("before ") && shown.contains("after"),
            "{why}: the rest is there: {ran:?}"
        );
        let note = ran.err.lines().find(|line| line.starts_with("cofferdam: ")).unwrap_or_default();
        let want = format!("alarm: the canary `invoice` was written to {stream} ({encoding})");
        assert!(note.contains(&want), "{why}: said: {ran:?}");
        let alarms = events(&place, "alarm");
        assert_eq!(alarms.len(), 1, "{why}: {alarms:?}");
        let event = format!(
            "\"what\":\"canary\",\"name\":\"invoice\",\"place\":\"{stream}\",\"encoding\":\"{encoding}\",\
             \"clause\":\"canary.invoice ("
        );
        assert!(alarms[0].contains(&event), "{why}: {alarms:?}");
        let log = place.read("home/.local/state/cofferdam/audit.jsonl");
        let told =
            log.lines().filter(|line| !line.contains("\"kind\":\"start\"")).collect::<String>();
        assert!(!told.contains(CANARY), "{why}: no record repeats it");
    }
}

/// Byte for byte, with all that a pipe may carry.
#[test]
fn what_holds_none_is_not_touched() {
    let place = place(PLANTED);
    place
        .outside(
            "head -c 3000000 /dev/urandom > noise; printf 'no-such-invoice-4712 \\033]52;c;QQ==\\007\\n' > near; \
             tar --sort=name -cf ../app.tar noise near; mv ../app.tar .",
        )
        .works("a tar");
    for script in
        ["cat app.tar", "cat near", "printf no-such-invoice-471", "printf 'no-'; sleep 0.3"]
    {
        let mut command = place.command("sh");
        let outside = command.args(["-c", script]).output().unwrap().stdout;
        assert!(bytes(&place, script) == outside, "{script}: {} bytes", outside.len());
    }
    assert_eq!(events(&place, "alarm"), Vec::<String>::new(), "and no alarm");
}

/// What every stand-in of a credential holds, whatever session made it.
#[test]
fn stand_ins_are_masked() {
    let place = place("");
    for mark in cofferdam::policy::credentials::MARKS {
        let ran = inside(&place, &[], &format!("echo sk-ant-{mark}AAAA")).works("a stand-in");
        assert!(!ran.out.contains(mark), "{ran:?}");
        let said =
            ran.err.contains("alarm: a stand-in of a credential was written to standard output");
        assert!(said, "{ran:?}");
    }
    assert_eq!(events(&place, "alarm").len(), 4);
}

/// Each string and stream is on record at once, and what comes again in one sum.
#[test]
fn repeated_ones_are_counted() {
    let place = place(PLANTED);
    let ran =
        inside(&place, &[], "for i in 1 2 3 4 5; do echo no-such-invoice-4711; done").works("five");
    assert!(ran.err.contains("(plain), 5 times, and masked"), "{ran:?}");
    let times = |event: &String| {
        let (_, rest) = event.split_once("\"times\":").unwrap();
        rest.split('}').next().unwrap().parse::<u64>().unwrap()
    };
    let alarms = events(&place, "alarm");
    assert_eq!(alarms.iter().map(times).sum::<u64>(), 5, "{alarms:?}");
    assert!(alarms.len() <= 2, "{alarms:?}");
}

/// Alarms come before every other note, and whoever asks for silence hears them too.
#[test]
fn alarms_come_first() {
    let place = place(&format!("[environment]\ndangerous_allow = [\"A_TOKEN\"]\n{PLANTED}"));
    let ran = inside(&place, &[], "touch .envrc; echo no-such-invoice-4711; exit 3");
    assert_eq!(ran.status, Some(3), "its status is its own: {ran:?}");
    let at = |word: &str| ran.err.find(word);
    assert!(at("[alarm]").is_some() && at("[alarm]") < at(".envrc: "), "{ran:?}");
    let quiet = inside(&place, &["--quiet"], "echo no-such-invoice-4711").works("quiet");
    assert!(quiet.err.contains("[alarm]"), "{quiet:?}");
    let json = inside(&place, &["--json"], "echo no-such-invoice-4711").works("json");
    let want = "{\"clause\":\"canary.invoice (";
    assert!(json.err.contains("\"event\":\"alarm\"") && json.err.contains(want), "{json:?}");
}

#[test]
fn who_says_so_gets_it_as_it_is() {
    let script = "echo no-such-invoice-4711";
    for (policy, options, why) in [
        (format!("[output]\nredact = false\n{PLANTED}"), &[][..], "redact = false"),
        (PLANTED.to_owned(), &["--output", "raw"], "--output raw"),
    ] {
        let place = place(&policy);
        let ran = inside(&place, options, script).works(why);
        assert_eq!(ran.out, format!("{CANARY}\n"), "{why}");
        let said = ran.err.contains("nobody looks for stand-ins and canaries in its output");
        assert!(said, "{why}: a weakening is said: {ran:?}");
        assert!(
            events(&place, "start")[0].contains("nobody looks for stand-ins"),
            "{why}: on record"
        );
        assert_eq!(events(&place, "alarm").len(), 0, "{why}");
    }
    let place = place(&format!("[output]\nredact = false\n{PLANTED}"));
    let safe = inside(&place, &["--output", "safe"], script).works("--output safe");
    assert!(!safe.out.contains(CANARY), "the flag is in place of the policy: {safe:?}");
}

/// A canary in a file that the command wrote is an alarm, however it stands there; what was there before, what is
/// only linked to, and what is like it are none.
#[test]
fn a_canary_in_a_file_is_an_alarm() {
    for (script, encoding, file, why) in [
        ("mkdir -p a/b; echo x no-such-invoice-4711 >a/b/c", "plain", "a/b/c", "plain"),
        ("printf no-such-invoice-4711 | base64 >d", "base64", "d", "encoded"),
        ("cp planted copy", "plain", "copy", "a copy"),
        (">no-such-invoice-4711", "plain", "no-such-invoice-4711", "its name alone"),
        (
            "echo no-such-invoice-4711 >e; chmod 000 e; chmod 600 e",
            "plain",
            "e",
            "with other rights",
        ),
    ] {
        let place = place(PLANTED);
        place.write("home/src/app/planted", CANARY);
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let ran = inside(&place, &[], script).works(why);
        let path = place.work.join(file).display().to_string();
        let want =
            format!("alarm: the canary `invoice` was written to the file {path} ({encoding})");
        let said: String = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&want) && !said.contains("masked"), "{why}: {ran:?}");
        let alarms = events(&place, "alarm");
        assert_eq!(alarms.len(), 1, "{why}: {alarms:?}");
        assert!(alarms[0].contains(&format!("\"place\":\"the file {path}\"")), "{why}: {alarms:?}");
    }
    let place = place(PLANTED);
    place.write("home/src/app/planted", CANARY);
    place.write("out/canary", CANARY);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let out = place.out.join("canary").display().to_string();
    let script =
        format!("cat planted >/dev/null; ln -s {out} link; mkfifo pipe; echo no-such-invoice >f");
    let ran = inside(&place, &[], &script).works("none is written");
    assert_eq!(events(&place, "alarm"), Vec::<String>::new(), "{ran:?}");
    assert!(!ran.err.contains("canary"), "{ran:?}");
}

/// What cannot be looked through is said, and on record.
#[test]
fn a_look_that_was_not_whole_is_said() {
    let place = place(PLANTED);
    let script =
        "d=.; for i in $(seq 140); do d=$d/d; done; mkdir -p $d; echo no-such-invoice-4711 >$d/f";
    let ran = inside(&place, &[], script).works("deep");
    assert!(ran.err.contains("[canary-unlooked]") && ran.err.contains("too deep"), "{ran:?}");
    let limits = events(&place, "limit");
    assert!(limits.iter().any(|limit| limit.contains("looked through")), "{limits:?}");
}
