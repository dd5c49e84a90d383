//! F17: nothing of any process of the host can be seen through /proc.

use std::process::Child;

use crate::support::Place;

struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn no_other_process_is_there() {
    let place = Place::new();
    let mut command = place.command("sleep");
    let victim = Victim(command.arg("60").env("VICTIM_SECRET", "v").spawn().unwrap());
    let pid = victim.0.id();
    for name in ["environ", "root/etc/hostname", "cwd/x", "maps"] {
        place.write("home/src/app/x", "");
        let read = format!("cat /proc/{pid}/{name} > /dev/null");
        place.outside(&read).works(name);
        place.inside(&read).fails(&["No such file"], name);
    }
    let seen = place.inside("for p in /proc/[0-9]*; do echo ${p#/proc/}; done").works("list");
    // Init and the shell.
    assert_eq!(seen.out, "1\n2\n");
    for name in ["environ", "root/", "cwd/", "mem", "maps", "fd/", "exe", "auxv"] {
        place
            .inside(&format!("ls -L /proc/1/{name} && cat /proc/1/{name}"))
            .fails(&["Permission denied", "Operation not permitted"], "init's own entries");
    }
    place.inside("cat /proc/self/environ /proc/self/maps > /dev/null").works("one's own");
}
