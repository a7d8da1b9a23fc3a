//! One self-contained HTML page of a comparison: tables and plots, nothing to load.

use super::compare::Row;
use super::svg::{self, Line, Scale, colour, escape, percent};
use std::fmt::Write;

/// One load of a sweep: offered load over capacity, Erlang B's loss there, and each rule's figures.
pub type SweepPoint = (f64, f64, Vec<Row>);

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(26rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-size:13px}svg{width:100%;height:auto}code{background:#f3f3f3;padding:.1rem .3rem}";

/// The page. `command` is what to type for the same figures; `scenarios` are the rows of each situation; `sweep`, if not
/// empty, is the first situation at several loads.
pub fn report(command: &str, scenarios: &[Vec<Row>], sweep: &[SweepPoint]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>kamari: routing rules compared</title><style>{STYLE}</style></head><body>\
         <h1>Routing rules compared</h1><p>Every rule met the same calls. The same figures again: <code>{}</code></p>",
        escape(command)
    );
    if !sweep.is_empty() {
        page.push_str(&blocking_against_load(sweep));
    }
    for rows in scenarios {
        page.push_str(&section(rows));
    }
    page.push_str("</body></html>\n");
    page
}

fn section(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let mut html = format!(
        "<h2>{} at {}</h2><p>Nobody can lose fewer than {} of these calls.</p>",
        escape(&first.scenario),
        percent(first.load),
        percent(first.bound)
    );
    html.push_str(&table(rows));
    html.push_str("<h3>Tries per call</h3>");
    let bars: Vec<_> =
        rows.iter().enumerate().map(|(i, row)| (row.policy.clone(), colour(i), row.attempts_per_call)).collect();
    html.push_str(&svg::bars("Tries per call", &bars));
    html.push_str("<h3>Utilisation of every node over time, in minutes</h3><div class=\"grid\">");
    for row in rows {
        let _ =
            write!(html, "<figure>{}<figcaption>{}</figcaption></figure>", utilisation_chart(row), escape(&row.policy));
    }
    html.push_str("</div>");
    html
}

fn table(rows: &[Row]) -> String {
    let mut html = "<table><tr><th>rule</th><th>blocked at first try</th><th>lost</th><th>tries per call</th>\
                    <th>max/mean</th><th>call time on hot nodes</th><th>set-up p50</th><th>p99</th><th>bad audio</th></tr>"
        .to_owned();
    for row in rows {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.4}</td><td>{:.3}</td><td>{}</td><td>{:.0} ms</td><td>{:.0} ms</td><td>{}</td></tr>",
            escape(&row.policy),
            percent(row.first_try_blocking),
            percent(row.lost_share),
            row.attempts_per_call,
            row.max_over_mean,
            percent(row.hot_call_time),
            row.setup_p50 * 1_000.0,
            row.setup_p99 * 1_000.0,
            percent(row.bad_media)
        );
    }
    html + "</table>"
}

/// The utilisation of every node over time, in minutes.
pub(super) fn utilisation_chart(row: &Row) -> String {
    let nodes = row.timeline.first().map_or(0, |(_, used)| used.len());
    let lines: Vec<_> = (0..nodes)
        .map(|node| Line {
            name: format!("node {}", node + 1),
            colour: colour(node),
            dashed: false,
            points: row.timeline.iter().map(|(at, used)| (at / 60.0, f64::from(used[node]))).collect(),
        })
        .collect();
    let end = row.timeline.last().map_or(1.0, |(at, _)| at / 60.0);
    svg::lines(&format!("Utilisation under {}", row.policy), "", (0.0, end), Scale::Linear(1.0), &lines, false)
}

fn blocking_lines(sweep: &[SweepPoint]) -> Vec<Line> {
    let policies = sweep.first().map_or(0, |(_, _, rows)| rows.len());
    let mut lines: Vec<_> = (0..policies)
        .map(|i| Line {
            name: sweep[0].2[i].policy.clone(),
            colour: colour(i),
            dashed: false,
            points: sweep.iter().map(|(load, _, rows)| (*load, rows[i].first_try_blocking)).collect(),
        })
        .collect();
    lines.push(Line {
        name: "Erlang B".to_owned(),
        colour: "#000",
        dashed: true,
        points: sweep.iter().map(|&(load, bound, _)| (load, bound)).collect(),
    });
    lines
}

/// Blocking at the first try against load, every rule beside Erlang B. `sweep` must not be empty.
pub(super) fn blocking_chart(sweep: &[SweepPoint]) -> String {
    let ends = (sweep[0].0, sweep[sweep.len() - 1].0);
    svg::lines(
        "Blocking at the first try against load",
        "offered load / capacity",
        ends,
        Scale::Log(-5, 0),
        &blocking_lines(sweep),
        true,
    )
}

fn blocking_against_load(sweep: &[SweepPoint]) -> String {
    format!("<h2>Blocking at the first try against load</h2>{}", blocking_chart(sweep))
}
