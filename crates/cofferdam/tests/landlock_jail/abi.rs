//! K40: what `plan` says that a Landlock of each age leaves open is what is open.

use std::ffi::OsString;

use cofferdam::plan::coverage::Extent;
use cofferdam::plan::plan::Argument;
use cofferdam::plan::{Host, Task, compile};
use cofferdam::{Engine, Options, PolicyFrom, Prepared, Sink};

use super::{GIVEN_UP, outside, place};
use crate::support::{Place, programs, python};

/// The plan for a machine whose Landlock is no newer than `abi`.
fn capped(mut prepared: Prepared, abi: u32) -> Prepared {
    let host = Host { landlock_abi: abi.min(prepared.host.landlock_abi), ..prepared.host.clone() };
    let words = prepared.plan.workload.command.iter().map(|word| Argument(word.0.clone()));
    let task = Task {
        command: words.collect(),
        streams: prepared.plan.workload.streams,
        ..Task::default()
    };
    prepared.plan = compile(&prepared.policy, &host, task).unwrap();
    prepared.host = host;
    prepared
}

fn options(place: &Place, body: &str) -> Options {
    let words = ["/usr/bin/python3".into(), "-c".into(), python(body)].map(OsString::from);
    Options {
        jail: Some("landlock".into()),
        best_effort: vec![GIVEN_UP.into()],
        workspace: Some(place.work.display().to_string()),
        policy: PolicyFrom::Text { name: "test".into(), text: "version = 1\n".into() },
        audit: Some(place.root.join("log.jsonl")),
        ..Options::command(words)
    }
}

/// Whether the act works inside under that Landlock, and what the plan says is open.
fn tried(engine: &Engine, place: &Place, abi: u32, body: &str) -> (bool, String) {
    let prepared = capped(engine.prepare(&options(place, body)).unwrap(), abi);
    let open: String = prepared
        .plan
        .coverage
        .iter()
        .filter_map(|row| match &row.extent {
            Extent::Enforced => None,
            Extent::Partly { open } => Some(format!("{open}\n")),
        })
        .collect();
    let session = engine.start(&prepared).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let finished = session.run(None, Sink::Collect(&mut out), Sink::Collect(&mut err), None);
    let status = finished.unwrap().outcome.status();
    assert!(status <= 1, "{abi} {body}: {status} {}", String::from_utf8_lossy(&err));
    (status == 0, open)
}

#[test]
fn stated_gaps_are_observed_gaps() {
    let place = place();
    let engine = Engine::with_programs(&programs()).unwrap();
    let name = format!("landlock-abi-{}", std::process::id());
    let serve = format!(
        "import socket, time\na = socket.socket(socket.AF_UNIX); a.bind('\\0{name}'); a.listen()\n\
         print('up', flush=True)\ntime.sleep(300)"
    );
    let mut server = outside(&place, "/usr/bin/python3", &["-c", &serve]);
    let mut server = server.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut up = [0; 2];
    std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut up).unwrap();
    let signal = format!("os.kill({}, 0)", server.id());
    let connect = format!("import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}')");
    let moves = "os.makedirs('a/b', exist_ok=True); open('a/f', 'w'); os.rename('a/f', 'a/b/f')";
    let cut = format!("os.truncate('{}', 1)", place.out.join("canary").display());
    let newest = cofferdam_abi(&engine, &place);
    for abi in 1..=newest {
        let (moved, open) = tried(&engine, &place, abi, moves);
        let stated = open.contains("moving files between directories fails");
        assert_eq!(!moved, stated, "ABI {abi}: moves: {open}");
        assert_eq!(stated, abi < 2, "ABI {abi}");
        let (signalled, open) = tried(&engine, &place, abi, &signal);
        assert_eq!(
            signalled,
            open.contains("every process of this user can be signalled"),
            "ABI {abi}: {open}"
        );
        assert_eq!(signalled, abi < 6, "ABI {abi}");
        let (connected, open) = tried(&engine, &place, abi, &connect);
        assert_eq!(connected, open.contains("every abstract socket"), "ABI {abi}: {open}");
        let (was_cut, open) = tried(&engine, &place, abi, &cut);
        assert!(!was_cut, "ABI {abi}: the broker holds it");
        assert_eq!(open.contains("truncate(2) has one wall"), abi < 3, "ABI {abi}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// This kernel's.
fn cofferdam_abi(engine: &Engine, place: &Place) -> u32 {
    engine.prepare(&options(place, "pass")).unwrap().host.landlock_abi
}
