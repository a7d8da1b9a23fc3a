//! Gathers what the benches found (`rows` says in which form) into one printed table, and writes each bench's part of
//! `docs/performance.md`. Run last, by `make bench`; alone it reports the benches that have run so far.

mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use rows::{HEADING, Row};

const DOCUMENT: &str = "docs/performance.md";
const END: &str = "<!-- end of bench -->\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let found = gather()?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let mut text = fs::read_to_string(&path)?;
    // The order of the document is the order of the table.
    let mut benches: Vec<(usize, &String, &Vec<Row>)> = Vec::new();
    for (bench, rows) in &found {
        benches.push((place(&text, bench)?.0, bench, rows));
    }
    benches.sort_unstable_by_key(|(at, _, _)| *at);
    println!("\n{HEADING}");
    for (_, bench, rows) in &benches {
        for row in *rows {
            println!("{}", row.line());
        }
        put(&mut text, bench, &section(rows))?;
    }
    let goals: Vec<bool> = benches.iter().flat_map(|(_, _, rows)| rows.iter()).filter_map(|row| row.met).collect();
    let met = goals.iter().filter(|met| **met).count();
    println!("\n{met} of {} goals met. {DOCUMENT} has the command that measures each again.", goals.len());
    put(&mut text, "machine", &machine()?)?;
    fs::write(&path, text)?;
    Ok(())
}

/// The rows of each bench that has run.
fn gather() -> Result<BTreeMap<String, Vec<Row>>, Box<dyn std::error::Error>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(rows::folder())? {
        let path = entry?.path();
        let Some(bench) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "json") {
            let rows: Vec<Row> =
                serde_json::from_slice(&fs::read(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
            found.insert(bench.to_owned(), rows);
        }
    }
    Ok(found)
}

/// The tables of one bench: one for each command.
fn section(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut command = "";
    for row in rows {
        if row.command != command {
            command = &row.command;
            let _ = write!(text, "\n`{command}`\n\n{HEADING}\n");
        }
        let _ = writeln!(text, "{}", row.line());
    }
    text.push('\n');
    text
}

/// What it was measured on.
fn machine() -> io::Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let gib: u64 = kib.map_or(0, |kib: u64| kib.div_ceil(1024 * 1024));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    let model = model.unwrap_or("of an unknown model");
    Ok(format!("\n{cores} CPUs ({model}), {gib} GiB of memory, Linux {}.\n\n", kernel.trim()))
}

/// Where the part of a bench begins and ends.
fn place(text: &str, bench: &str) -> Result<(usize, usize), String> {
    let begin = format!("<!-- bench: {bench} -->\n");
    let from = text.find(&begin).ok_or(format!("{DOCUMENT} has no place for {bench}: the line {begin}"))? + begin.len();
    let length = text[from..].find(END).ok_or(format!("{DOCUMENT}: the place for {bench} lacks the line {END}"))?;
    Ok((from, from + length))
}

fn put(text: &mut String, bench: &str, part: &str) -> Result<(), String> {
    let (from, to) = place(text, bench)?;
    text.replace_range(from..to, part);
    Ok(())
}
