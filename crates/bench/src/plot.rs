//! The plot: cost per message over the size of the fleet, as an SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::problem::{Context, Outcome, Problem};
use crate::report::{Row, grouped};

/// A curve: a scenario with a broker.
struct Curve<'a> {
    name: String,
    points: Vec<(f64, f64)>,
    color: &'a RGBColor,
}

const SCENARIOS: [(&str, &str); 2] =
    [("notify-non", "non-confirmable"), ("notify-con", "confirmable")];

const COLORS: [RGBColor; 4] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0xd6, 0x27, 0x28),
];

/// Draws the notifications of a run; an error when no scenario has two sizes of fleets.
pub(crate) fn write(rows: &[Row], file: &Path) -> Outcome<()> {
    let curves = curves(rows);
    if curves.iter().all(|curve| curve.points.len() < 2) {
        return Err(Problem::new("nothing to plot: run notify-non or notify-con first"));
    }
    let mut svg = String::new();
    draw(&curves, &mut svg).context(|| "plot".to_owned())?;
    std::fs::write(file, svg).context(|| file.display().to_string())
}

fn curves(rows: &[Row]) -> Vec<Curve<'static>> {
    let kinds = SCENARIOS.iter().flat_map(|(scenario, name)| {
        ["mosquitto", "embedded"].map(|broker| (*scenario, *name, broker))
    });
    let curve = |((scenario, name, broker), color): ((&str, &str, &str), &'static RGBColor)| {
        let ours = rows.iter().filter(|row| {
            row.server == "gateway" && row.scenario == scenario && row.broker == broker
        });
        let mut points: Vec<_> =
            ours.filter_map(|row| Some((row.devices as f64, row.cpu_us?))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Curve { name: format!("{name}, {broker}"), points, color }
    };
    kinds.zip(&COLORS).map(curve).filter(|curve| !curve.points.is_empty()).collect()
}

fn draw(curves: &[Curve<'_>], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, (760, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let few = points().map(|point| point.0).fold(f64::MAX, f64::min);
    let many = points().map(|point| point.0).fold(0.0, f64::max);
    let dear = points().map(|point| point.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption("CPU time of the gateway per notification", ("sans-serif", 24))
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(60)
        .build_cartesian_2d((few / 1.2..many * 1.2).log_scale(), 0.0..dear * 1.45)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("devices registered and observed")
        .y_desc("µs")
        .label_style(("sans-serif", 17))
        .axis_desc_style(("sans-serif", 18))
        .max_light_lines(0)
        .x_label_formatter(&power_of_ten)
        .y_label_formatter(&|micros| format!("{micros:.0}"))
        .draw()?;
    for curve in curves {
        let color = *curve.color;
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)))?
            .label(curve.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        let dots = curve.points.iter().map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .label_font(("sans-serif", 17))
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

/// The label of a place on the axis; only powers of ten have one, the others would overlap.
fn power_of_ten(devices: &f64) -> String {
    let devices = devices.round() as u64;
    let is_power = devices > 0 && 10_u64.pow(devices.ilog10()) == devices;
    if is_power { grouped(devices) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(devices: u64, cpu_us: f64) -> Row {
        Row {
            scenario: "notify-non".to_owned(),
            server: "gateway".to_owned(),
            broker: "mosquitto".to_owned(),
            devices,
            cpu_us: Some(cpu_us),
            ..Row::default()
        }
    }

    #[test]
    fn a_curve_goes_from_few_devices_to_many() {
        let curves = curves(&[row(1_000_000, 6.0), row(1_000, 5.0)]);
        assert_eq!(curves.len(), 1);
        assert_eq!(curves[0].points, [(1_000.0, 5.0), (1_000_000.0, 6.0)]);
        let mut svg = String::new();
        draw(&curves, &mut svg).unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("1 000 000"), "{svg}");
        assert!(!svg.contains("2 000"), "{svg}");
    }

    #[test]
    fn one_size_alone_is_no_plot() {
        let file = std::env::temp_dir().join("lwm2m-bench-no-plot.svg");
        assert!(write(&[row(1_000, 5.0)], &file).is_err());
        assert!(!file.exists());
    }
}
