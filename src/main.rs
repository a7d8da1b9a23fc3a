//! The `kamari` command: parse, dispatch, exit code.

/// A large pool makes and frees some hundred thousand small pieces a second from several threads; glibc's allocator took a
/// quarter of the CPU time of polling.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kamari::cli::main()
}
