//! How far a bench is, on standard error.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on a terminal; one line elsewhere, and where the document on standard output is all that is wanted (`quiet`).
pub(super) fn progress(quiet: bool, what: &'static str, count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(what);
    if quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        eprintln!("{what} {count}");
    } else {
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(4));
    }
    let template = "{msg:10} {wide_bar} {human_pos}/{human_len} {per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Moves a bar on.
pub(super) fn counting(bar: &ProgressBar) -> impl Fn(u64) + Clone + Send + 'static {
    let bar = bar.clone();
    move |count| bar.inc(count)
}
