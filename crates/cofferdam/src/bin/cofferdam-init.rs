//! Pid 1 of a sandbox. Started by `cofferdam`, never by hand.

fn main() {
    cofferdam_init::main()
}
