//! The command line.

fn main() -> std::process::ExitCode {
    cofferdam::cli::main()
}
