//! The program: see the library.

fn main() -> std::process::ExitCode {
    mini_karpenter::cli::main()
}
