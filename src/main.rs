//! The `kamari` command: parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    kamari::cli::main()
}
