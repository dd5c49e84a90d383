//! K12: io_uring, a second door to the kernel, is shut.

use crate::support::Place;

#[test]
fn io_uring_is_not_there() {
    let place = Place::new();
    let set_up = "p = ctypes.create_string_buffer(128)\nos.close(call(425, 4, p))";
    place.python_attack(set_up, &["ENOSYS"], "io_uring_setup");
    for nr in [426, 427] {
        place
            .python_inside(&format!("call({nr}, 0, 0, 0, 0)"))
            .fails(&["ENOSYS"], "enter, register");
    }
    place
        .python_inside("c = ctypes.c_ulong(0)\ncall(206, 1, ctypes.byref(c))")
        .works("io_setup, the older one");
}
