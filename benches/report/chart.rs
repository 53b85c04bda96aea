//! Throughput by the number of clients, one panel without a password and one with.

use std::error::Error;

use plotters::prelude::*;

use super::throughput;
use crate::Rounds;
use crate::stage::Subject;

const SIZE: (u32, u32) = (1000, 460);
const FONT: &str = "sans-serif";

/// Draws into a file, from what was measured with each number of clients.
pub fn draw<'a>(
    path: &str,
    measured: impl Fn(&str) -> Vec<(usize, &'a Rounds)>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|error| error.to_string())?;
    let panels = root.split_evenly((1, 2));
    for (panel, password) in panels.iter().zip(["without a password", "with a password"]) {
        panel_of(panel, password, &measured(password)).map_err(|error| error.to_string())?;
    }
    root.present().map_err(|error| error.to_string())?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel_of(area: &Area<'_>, password: &str, measured: &[(usize, &Rounds)]) -> Result<(), Box<dyn Error>> {
    let clients = |index: usize| measured.get(index).map_or(1.0, |(clients, _)| *clients as f64);
    let across = (clients(0)..clients(measured.len() - 1)).log_scale().base(4.0);
    let up = (200.0..200_000.0).log_scale();
    let mut chart = ChartBuilder::on(area)
        .caption(format!("Requests a second, {password}"), (FONT, 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(across, up)?;
    chart
        .configure_mesh()
        .x_desc("clients")
        .x_label_formatter(&|clients: &f64| format!("{clients:.0}"))
        .y_label_formatter(&|rate: &f64| format!("{rate:.0}"))
        .label_style((FONT, 13))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (index, subject) in Subject::ALL.into_iter().enumerate() {
        let color = Palette99::pick(index).mix(1.0);
        let points =
            || measured.iter().map(|(clients, rounds)| (*clients as f64, throughput(rounds, subject)));
        let line = LineSeries::new(points(), color.stroke_width(2));
        chart
            .draw_series(line)?
            .label(subject.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
