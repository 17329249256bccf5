//! `simile calibrate`: how a saved lens's score becomes a probability.

use super::Run;
use crate::cli::Outcome;
use crate::cli::console::Console;
use crate::cli::render::text::one_line;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::map_text;
use crate::query::print_name;
use crate::types::Calibration;
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("how").required(true).args(["judged", "label", "scale"])))]
pub(in crate::cli) struct Calibrate {
    /// The store
    store: PathBuf,
    /// The saved lens
    lens: String,
    /// A of 1 / (1 + exp(-(A * score + B))); positive; a distance counts as minus the distance
    #[arg(long, value_name = "A", requires = "bias", allow_hyphen_values = true)]
    scale: Option<f64>,
    /// B of it
    #[arg(long, value_name = "B", requires = "scale", allow_hyphen_values = true)]
    bias: Option<f64>,
    /// Fit it to judged hits (not there yet)
    #[arg(long, value_name = "FILE")]
    judged: Option<PathBuf>,
    /// Fit it to hits that you judge now (not there yet)
    #[arg(long, value_name = "N")]
    label: Option<u64>,
}

impl Run for Calibrate {
    fn run(self, console: &mut Console) -> Result<Outcome> {
        let (Some(scale), Some(bias)) = (self.scale, self.bias) else {
            let flag = if self.judged.is_some() { "--judged" } else { "--label" };
            let message = format!("{flag}: fitting a calibration is not there yet; supply one with --scale A --bias B");
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let store = console.open_writer(&self.store)?;
        let old = store.snapshot()?.calibration(&self.lens)?;
        let mut batch = store.begin()?;
        let calibration = batch.put_calibration(&self.lens, Calibration::supplied(scale, bias))?;
        let commit = batch.commit()?;
        let lens = store.snapshot()?.lens(&self.lens)?.map(|saved| saved.lens).unwrap_or_default();
        if console.json {
            console.document(&json!({
                "lens": self.lens, "version": calibration.lens_version, "metric": lens.metric.as_str(),
                "scale": scale, "bias": bias, "origin": calibration.origin, "replaced": old.is_some(),
                "commit": commit.0,
            }))?;
            return Ok(Outcome::Done);
        }
        let (name, version) = (one_line(&self.lens), calibration.lens_version);
        let map = map_text(&calibration, &lens);
        console.line(format!("lens {name}, version {version}: probability = {map} (commit {commit})"))?;
        if let Some(old) = old {
            console.line(format!("in place of: {} of commit {}", one_line(&old.origin), old.commit))?;
        }
        console.line(format!("find ... | using {} | score probability", one_line(&print_name(&self.lens))))?;
        Ok(Outcome::Done)
    }
}
