//! L04: when the gateway dies, so does every way out, and nothing takes its place.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::asking::POLICY;
use crate::internet::Internet;

/// Processes below `root`, with their names.
fn below(root: u32) -> Vec<(u32, String)> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stat = |pid: u32| -> Option<(u32, u32, String)> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?, name.to_owned()))
    };
    let all: Vec<_> = numbers.filter_map(stat).collect();
    let mut found = vec![(root, String::new())];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at].0;
        found.extend(all.iter().filter(|one| one.1 == parent).map(|one| (one.0, one.2.clone())));
        at += 1;
    }
    found
}

fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_dead_gateway_is_no_way_out() {
    let Some(net) = Internet::take() else { return };
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let fetch = "curl -sS --max-time 3 -o /dev/null http://good.test/";
    let script = format!(
        "{fetch} && echo before; read go; {fetch} || echo refused; curl -sS --noproxy '*' --max-time 3 http://good.test/ || echo refused"
    );
    let mut command = net.cofferdam(&["--policy", &policy]);
    command.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut engine = command.spawn().unwrap();
    assert_eq!(line(&mut engine), "before\n");
    net.forget();
    let gateway = below(engine.id()).into_iter().find(|one| one.1.starts_with("cofferdam-gatew"));
    let (pid, _) = gateway.expect("a gateway below the engine");
    net.outside(&["kill", "-9", &pid.to_string()]).works("its end");
    // The engine may end the sandbox or let it go on without network; it never goes on with one.
    drop(engine.stdin.take().unwrap().write_all(b"go\n"));
    let output = engine.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.is_empty() || said == "refused\nrefused\n", "{said:?}");
    assert_eq!(net.seen().packets, []);
}
