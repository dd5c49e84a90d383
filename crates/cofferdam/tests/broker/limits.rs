//! What bounds the caller bounds what is done for it.

use crate::support::Place;
use crate::trial::{Session, same};

#[test]
fn a_caller_makes_no_larger_file_than_it_may() {
    let place = Place::new();
    let said = same(
        &place,
        &[],
        &[
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); put('f')",
            "os.truncate('f', 1000); said = os.path.getsize('f')",
            "os.truncate('f', 1001)",
            "os.truncate('f', 1 << 40)",
            "fd = os.open('f', os.O_RDWR); os.ftruncate(fd, 1001)",
            "os.pwrite(fd, b'x', 1000)",
            "said = os.path.getsize('f')",
        ],
    );
    assert_eq!(said[1..4], ["1000", "EFBIG", "EFBIG"]);
    // The person's own limit, which nobody inside lifts.
    let mut inside = Session::inside(&place, &["--limit", "file_size=1MiB"]);
    inside.ok("signal.signal(signal.SIGXFSZ, signal.SIG_IGN); put('g'); os.truncate('g', 1 << 20)");
    inside.fails("os.truncate('g', (1 << 20) + 1)", "EFBIG");
    inside.fails("fd = os.open('g', os.O_RDWR); os.ftruncate(fd, 1 << 30)", "EFBIG");
    inside.end().works("to its end");
    assert_eq!(std::fs::metadata(place.work.join("g")).unwrap().len(), 1 << 20);
}
