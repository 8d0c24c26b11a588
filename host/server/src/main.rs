//! The `wasmill` program. Everything is in the library.

fn main() -> std::process::ExitCode {
    wasmill_server::cli::main()
}
