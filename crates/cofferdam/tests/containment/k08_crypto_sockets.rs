//! K08: crypto sockets are refused, natively and through the 32-bit door.

use crate::support::Place;

/// Machine code for `mov eax, ebx-th call; int 0x80`, run from a page of our own.
const I386: &str = "
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b'\\x53\\xb8' + (%d).to_bytes(4, 'little') + b'\\x31\\xdb\\x31\\xc9\\xcd\\x80\\x5b\\xc3')
f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
ret = f()
if ret == -errno.ENOSYS: raise OSError(errno.ENOSYS, 'no 32-bit calls')
";

#[test]
fn af_alg_and_socketcall_are_refused() {
    let place = Place::new();
    let reach = "try: call(41, 38, 5, 0)\nexcept OSError as e:\n    if e.errno != errno.EAFNOSUPPORT: raise";
    place.python_attack(reach, &["EPERM"], "AF_ALG");
    // socketcall(0, NULL) is EINVAL where 32-bit programs run, ENOSYS behind the filter.
    place.python_attack(&I386.replace("%d", "102"), &["ENOSYS"], "socketcall");
    place.python_attack(&I386.replace("%d", "20"), &["ENOSYS"], "any 32-bit call");
    place.python_inside("call(39)").works("native calls");
}
