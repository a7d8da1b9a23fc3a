//! Line and bar charts as inline SVG: no script, no font, no other file.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// A legend's columns, their width, and the height of its rows.
const LEGEND_COLUMNS: usize = 4;
const LEGEND_WIDTH: f64 = 160.0;
const LEGEND_ROW: f64 = 18.0;

/// Colours told apart by most eyes, kamari's first.
const COLOURS: [&str; 15] = [
    "#0057b8", "#d1495b", "#2e933c", "#8f5db7", "#e08e0b", "#00838f", "#7b4b2a", "#c2185b", "#5c6b73", "#9e9d24",
    "#3949ab", "#ff7043", "#26a69a", "#6d4c41", "#111111",
];

/// The colour of the series with this number.
pub(super) fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// One line of a chart.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: &'static str,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// How values of y are placed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From 0 to this value.
    Linear(f64),
    /// By powers of ten between these exponents; what is below is drawn at the bottom.
    Log(i32, i32),
}

impl Scale {
    fn place(self, y: f64) -> f64 {
        let share = match self {
            Self::Linear(most) => y / most,
            Self::Log(low, high) => (y.max(f64::MIN_POSITIVE).log10() - f64::from(low)) / f64::from(high - low),
        };
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share.clamp(0.0, 1.0))
    }

    fn ticks(self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(most) => (0..=5).map(|i| most * f64::from(i) / 5.0).map(|y| (y, percent(y))).collect(),
            Self::Log(low, high) => (low..=high).map(|e| 10_f64.powi(e)).map(|y| (y, percent(y))).collect(),
        }
    }
}

/// A share as a percentage with as many digits as it needs.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A chart of lines over x from `from` to `to`, with the names of the lines below it if they are `named`.
pub(super) fn lines(
    title: &str,
    x_name: &str,
    (from, to): (f64, f64),
    scale: Scale,
    lines: &[Line],
    named: bool,
) -> String {
    let place =
        |x: f64| LEFT + (WIDTH - LEFT - RIGHT) * ((x - from) / (to - from).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    let rows = if named { lines.len().div_ceil(LEGEND_COLUMNS) } else { 0 };
    let mut svg = open(title, HEIGHT + LEGEND_ROW * rows as f64);
    axes(&mut svg, scale);
    for i in 0..=5 {
        let x = from + (to - from) * f64::from(i) / 5.0;
        let shown = if to - from < 20.0 { format!("{x:.2}") } else { format!("{x:.0}") };
        text(&mut svg, place(x), HEIGHT - 22.0, "middle", &shown);
    }
    text(&mut svg, f64::midpoint(LEFT, WIDTH), HEIGHT - 4.0, "middle", x_name);
    for line in lines {
        let points = line.points.iter().fold(String::new(), |mut points, &(x, y)| {
            let _ = write!(points, "{:.1},{:.1} ", place(x), scale.place(y));
            points
        });
        let dashes = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let (name, colour) = (escape(&line.name), line.colour);
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"{dashes} points=\"{}\"><title>{name}</title></polyline>",
            points.trim_end()
        );
    }
    if named {
        legend(&mut svg, lines);
    }
    svg.push_str("</svg>");
    svg
}

/// Horizontal bars, with the value written at each.
pub(super) fn bars(title: &str, bars: &[(String, &'static str, f64)]) -> String {
    let most = bars.iter().map(|bar| bar.2).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + 22.0 * bars.len() as f64 + TOP;
    let mut svg = open(title, height);
    for (row, (name, colour, value)) in bars.iter().enumerate() {
        let y = TOP + 22.0 * row as f64;
        let width = (WIDTH - 260.0) * value / most;
        text(&mut svg, 170.0, y + 13.0, "end", name);
        let _ = write!(svg, "<rect x=\"178\" y=\"{y}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>");
        text(&mut svg, 184.0 + width, y + 13.0, "start", &format!("{value:.4}"));
    }
    svg.push_str("</svg>");
    svg
}

/// The names of lines beside their colours, in rows below the chart.
fn legend(svg: &mut String, lines: &[Line]) {
    for (at, line) in lines.iter().enumerate() {
        let x = LEFT + LEGEND_WIDTH * (at % LEGEND_COLUMNS) as f64;
        let y = HEIGHT + LEGEND_ROW * (1 + at / LEGEND_COLUMNS) as f64 - 4.0;
        let dashes = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
        let _ = write!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"{2}\" stroke-width=\"3\"{dashes}/>",
            x + 18.0,
            y - 4.0,
            line.colour
        );
        text(svg, x + 24.0, y, "start", &line.name);
    }
}

fn open(title: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">",
        escape(title)
    )
}

fn axes(svg: &mut String, scale: Scale) {
    for (y, shown) in scale.ticks() {
        let at = scale.place(y);
        let _ =
            write!(svg, "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
        text(svg, LEFT - 6.0, at + 4.0, "end", &shown);
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, shown: &str) {
    let _ = write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"12\" fill=\"#333\">{}</text>",
        escape(shown)
    );
}

/// Text as it may stand in HTML and in an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Line, Scale, escape, lines, percent};

    #[test]
    fn points_stay_inside_and_text_is_escaped() {
        let points = vec![(0.0, -5.0), (1.0, 0.5), (99.0, 7.0)];
        let line = Line { name: "<a>".to_owned(), colour: "#000", dashed: false, points };
        let svg = lines("t", "x", (0.0, 1.0), Scale::Linear(1.0), &[line], true);
        assert!(svg.contains("points=\"64.0,260.0 708.0,136.0 708.0,12.0\""), "{svg}");
        assert_eq!(
            (svg.matches("&lt;a&gt;").count(), svg.contains("<a>")),
            (2, false),
            "on the line and in the legend"
        );
        assert!(svg.starts_with("<svg viewBox=\"0 0 720 318\""), "{svg}");
        assert_eq!(escape("\"&"), "&quot;&amp;");
        assert_eq!((percent(0.5), percent(0.000_1)), ("50%".to_owned(), "0.01%".to_owned()));
    }
}
