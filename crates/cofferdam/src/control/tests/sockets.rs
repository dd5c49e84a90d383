//! The sockets themselves: whose they are, what is said to them, what is left.

use super::*;

#[test]
fn noise_is_refused_and_holds_nobody() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let idle: Vec<UnixStream> = (0..8).map(|_| session.raw()).collect();
    let mut half = session.raw();
    half.write_all(b"{\"do\":").unwrap();
    for noise in [
        &b"\n"[..],
        b"GET / HTTP/1.1\n",
        b"{\"do\":\"dance\"}\n",
        b"{\"do\":\"answer\",\"id\":-1,\"allowed\":true}\n",
        b"{\"do\":\"describe\",\"more\":1}\n",
        b"\xff\xfe\n",
        &[b'x'; 20 << 10],
    ] {
        let mut stream = session.raw();
        stream.write_all(noise).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap_or(0);
        assert!(said.contains("session-build"), "{said:?}");
    }
    let mut watch = session.raw();
    watch
        .write_all(b"{\"do\":\"watch\"}\n{\"do\":\"answer\",\"id\":1,\"allowed\":true}\n")
        .unwrap();
    let mut said = [0; 4096];
    let length = watch.read(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said[..length]).contains("not-asking"));
    assert_eq!(client::sessions(&session.state()).unwrap().len(), 1, "and it answers others");
    drop(idle);
}

#[test]
fn a_name_is_a_beginning_that_one_session_has() {
    let one = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let find = |asked: Option<&str>| match client::questions(&one.state(), asked) {
        Ok(found) => panic!("{found:?}"),
        Err(Refused::Session(error)) => error,
        Err(error) => panic!("{error}"),
    };
    for (asked, want, why) in [
        (Some(&one.name[..8]), "not-asking", "the beginning of its name"),
        (Some(one.name.as_str()), "not-asking", "its name"),
        (Some("fff"), "session-prefix", "too short"),
        (Some(""), "session-prefix", "nothing"),
        (Some("../../x"), "session-prefix", "a path"),
        (Some("FFFF"), "session-prefix", "other letters"),
        (Some("ffff"), "session-unknown", "no such"),
        (None, "not-asking", "none that asks"),
    ] {
        let error = find(asked);
        assert_eq!(error.code(), want, "{why}");
        let text = Refused::from(error).drawn(false, 80);
        assert!(text.lines().count() <= 6, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        if want == "session-unknown" {
            let row = format!("  {}  pid {}  since ", &one.name[..12], std::process::id());
            assert!(text.contains(&row) && text.contains("make test"), "{text}");
        }
    }
    // Further ones in the same place: their names begin alike.
    let sockets = || Sockets::open(&one.state(), Missing::Leave).unwrap();
    let names: Vec<String> = (0..5).map(|n| format!("{}{n:024x}", &one.name[..8])).collect();
    let held: Vec<_> = names.iter().map(|name| sockets().listen(name).unwrap()).collect();
    let several = SessionError::Several {
        running: names
            .iter()
            .map(|id| Running {
                id: id.clone(),
                pid: 1,
                since: "2026-01-01T00:00:00.000Z".into(),
                command: "x".repeat(300),
                policy: "built-in".into(),
                generation: 0,
                approve: false,
                credentials: Vec::new(),
            })
            .collect(),
    };
    let text = Refused::from(several).drawn(false, 80);
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("  and 3 more"), "{text}");
    drop(held);
}

#[test]
fn a_socket_is_this_users_alone_and_goes_with_its_session() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let folder = session.root.join("state/sessions");
    let path = folder.join(&session.name);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    assert_eq!(client::sessions(&session.state()).unwrap().len(), 1);
    session.end();
    assert!(!path.exists(), "gone");
    assert!(client::sessions(&session.state()).unwrap().is_empty());
}

#[test]
fn what_a_killed_session_left_confuses_nobody() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let folder = session.root.join("state/sessions");
    let stale = folder.join("ab".repeat(16));
    // Its listener is closed without its name being removed, as a killed process does.
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let begun = folder.join(format!("{}.new", "cd".repeat(16)));
    drop(std::os::unix::net::UnixListener::bind(&begun).unwrap());
    fs::write(folder.join("notes"), "a person's").unwrap();
    assert!(stale.exists());
    let running = client::sessions(&session.state()).unwrap();
    assert_eq!(running.len(), 1, "{running:?}");
    assert_eq!(running[0].id, session.name);
    assert!(!stale.exists(), "whoever lists removes it");
    assert!(begun.exists(), "it may be about to listen");
    assert!(folder.join("notes").exists(), "what is no session's stays");
    let long_ago = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: long_ago, last_modification: long_ago };
    rustix::fs::utimensat(rustix::fs::CWD, &begun, &times, rustix::fs::AtFlags::empty()).unwrap();
    client::sessions(&session.state()).unwrap();
    assert!(!begun.exists(), "nobody is about to listen for so long");
}

#[test]
fn a_directory_that_others_may_enter_is_not_used() {
    let session = Fixture::new(Stands::Obedient, Approval::Off, GOOD);
    let folder = session.root.join("state/sessions");
    let set = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o750, 0o701, 0o777] {
        set(mode);
        let error = client::sessions(&session.state()).unwrap_err();
        assert_eq!(error.code(), "control-place", "{mode:o}");
    }
    set(0o700);
    assert_eq!(client::sessions(&session.state()).unwrap().len(), 1, "nothing else was wrong");
    let elsewhere = session.root.join("elsewhere");
    symlink(session.state(), &elsewhere).unwrap();
    let error = client::sessions(&elsewhere).unwrap_err();
    assert_eq!(error.code(), "control-place", "through a link");
}
