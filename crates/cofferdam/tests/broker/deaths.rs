//! K17: when engine or pid 1 is killed while calls are on their way, nothing of the workload is left
//! and nothing is written any more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::support::{Place, marked};
use crate::trial::{Session, init_of};

/// Four processes, each with a thread more, make and move names for ever.
const WRITERS: &str = "
source = '''
import os, threading
def work(n):
    k = 0
    while True:
        k += 1
        name = 'w%d-%d' % (n, k % 50)
        try:
            open(name, 'w').write(str(k)); os.rename(name, name + '.x'); os.mkdir('.claude')
        except OSError: pass
threading.Thread(target=work, args=(NUMBER + 10,), daemon=True).start()
work(NUMBER)
'''
for n in range(4):
    if os.fork() == 0:
        marked = dict(os.environ, MARK=mark)
        os.execve('/usr/bin/python3', ['python3', '-c', source.replace('NUMBER', str(n))], marked)
";

/// Every name with its time, while others come and go.
fn names(folder: &Path) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let when = |entry: &fs::DirEntry| entry.metadata().and_then(|seen| seen.modified()).ok();
    entries.map(|entry| (entry.path(), when(&entry))).collect()
}

#[test]
fn nothing_is_written_after_a_death() {
    for victim in ["engine", "init", "all"] {
        let place = Place::new();
        let mark = format!("death-{victim}-{}", std::process::id());
        let mut inside = Session::inside(&place, &[]);
        inside.ok(&format!("mark = '{mark}'"));
        inside.ok(WRITERS);
        inside.ok("until(lambda: len(os.listdir('.')) > 100)");
        let variable = format!("MARK={mark}");
        assert_eq!(marked(&variable).len(), 4, "they run");
        let before = names(&place.work);
        std::thread::sleep(Duration::from_millis(50));
        assert_ne!(before, names(&place.work), "and write");
        let init = init_of(inside.pid());
        match victim {
            "engine" => inside.kill(),
            "init" => {
                place.outside(&format!("kill -9 {init}")).works("killed");
                assert_eq!(inside.end().status, Some(125));
            }
            _ => {
                place.outside(&format!("kill -9 {init} {}", inside.pid())).works("killed");
                inside.kill();
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        while !marked(&variable).is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(marked(&variable).is_empty(), "{victim}: nothing of the workload is left");
        let then = names(&place.work);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(then, names(&place.work), "{victim}: nothing is written after");
        assert!(fs::symlink_metadata(place.work.join(".claude")).is_err(), "{victim}");
    }
}
