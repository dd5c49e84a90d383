//! A system whose files in /etc are links (NixOS, resolved): hidden stays hidden, ours stays ours.

use super::inside_a_container::contained;
use crate::support::Place;

#[test]
fn links_in_etc_are_guarded_where_they_lead() {
    let place = Place::new();
    for (name, text) in [
        ("shadow.real", "hash\n"),
        ("sudo.real/rule", "rule\n"),
        ("hosts.real", "10.1.2.3 inner\n"),
    ] {
        place.write(&format!("out/etc/{name}"), text);
    }
    place
        .outside(
            "cd $OUT/etc && ln -s shadow.real shadow && ln -s sudo.real sudoers.d && \
             ln -s hosts.real hosts && ln -s ../run/resolv.conf resolv.conf && echo kept > other",
        )
        .works("links");
    let etc = "mount --bind $OUT/etc /etc && mount -t tmpfs none /run && \
               echo 'nameserver 10.9.9.9' > /run/resolv.conf";
    let read = |name: &str| contained(&place, etc, &format!("cat /etc/{name}"));
    place.outside("cat $OUT/etc/shadow && ls $OUT/etc/sudoers.d").works("the control");
    read("shadow").fails(&["Permission denied"], "hashes");
    read("shadow.real").fails(&["Permission denied"], "hashes by their own name");
    read("sudoers.d/rule").fails(&["Permission denied", "No such file"], "rules");
    let hosts = read("hosts").works("hosts").out;
    assert!(hosts.contains("localhost") && !hosts.contains("inner"), "ours: {hosts}");
    let resolver = read("resolv.conf").works("a link into /run").out;
    assert!(resolver.contains("no resolver"), "ours, where the link leads: {resolver}");
    read("other").works("the other files");
}
