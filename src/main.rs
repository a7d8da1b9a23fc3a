//! The `kamari` command: parse, dispatch, exit code.

fn main() {}
