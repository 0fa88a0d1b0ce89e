//! The saved state of a training run.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::Adam;
use crate::{Error, Provenance, Result, files};

/// Progress of a training run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The stage: `text`, `image` or `linear`.
    pub stage: String,
    /// Finished epochs of that stage.
    pub epoch: usize,
    /// Finished batches of the next epoch.
    pub batch: usize,
}

/// Everything needed to resume training: the progress, the optimiser with the variables' values, and the
/// settings of the run.
pub struct TrainingState {
    /// The progress.
    pub position: Position,
    /// The settings of the run.
    pub settings: Provenance,
    steps: usize,
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    position: Position,
    settings: Provenance,
    steps: usize,
}

const KEY: &str = "aaclip-training-1";

impl TrainingState {
    /// The state of an optimiser.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn of(position: Position, settings: Provenance, adam: &Adam) -> Result<Self> {
        let mut tensors = HashMap::new();
        for trained in &adam.trained {
            for (kind, tensor) in
                [("weight", trained.var.as_tensor()), ("mean", &trained.mean), ("square", &trained.square)]
            {
                let values = tensor.flatten_all()?.to_vec1::<f32>()?;
                tensors.insert(format!("{kind}/{}", trained.name), (tensor.dims().to_vec(), values));
            }
        }
        Ok(Self { position, settings, steps: adam.steps, tensors })
    }

    /// Writes the state atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |source| Error::io("write", path, source);
        let header =
            Header { position: self.position.clone(), settings: self.settings.clone(), steps: self.steps };
        let header = serde_json::to_string(&header).map_err(|e| failed(e.into()))?;
        let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = (self.tensors.iter())
            .map(|(name, (shape, values))| {
                (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, data)| {
                Ok((name.as_str(), TensorView::new(Dtype::F32, (*shape).clone(), data)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| failed(std::io::Error::other(e)))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        let data =
            safetensors::serialize(views, Some(metadata)).map_err(|e| failed(std::io::Error::other(e)))?;
        files::write_atomic(path, &data).map_err(failed)
    }

    /// Reads a state.
    ///
    /// # Errors
    /// The file cannot be read or is not a training state.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let bad =
            |reason: String| Error::Setting(format!("{} is not a training state ({reason})", path.display()));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let header = header.ok_or_else(|| bad(format!("it has no `{KEY}`")))?;
        let Header { position, settings, steps } =
            serde_json::from_str(header).map_err(|e| bad(e.to_string()))?;
        let all = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
        let mut tensors = HashMap::new();
        for (name, view) in all.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(bad(format!("`{name}` is not f32")));
            }
            let values: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self { position, settings, steps, tensors })
    }

    /// Copies the state into an optimiser with the same variables. `path` is the path of the state, for error
    /// messages.
    ///
    /// # Errors
    /// A variable is missing or has another shape.
    pub fn restore(&self, adam: &mut Adam, path: &Path, device: &Device) -> Result<()> {
        for trained in &mut adam.trained {
            let shape = trained.var.dims().to_vec();
            let get = |kind: &str| -> Result<Tensor> {
                let name = format!("{kind}/{}", trained.name);
                match self.tensors.get(&name) {
                    Some((found, values)) if *found == shape => {
                        Ok(Tensor::from_slice(values, &shape[..], device)?)
                    }
                    Some((found, _)) => Err(Error::Setting(format!(
                        "{}: `{name}` has the shape {found:?}, expected {shape:?}",
                        path.display()
                    ))),
                    None => Err(Error::Setting(format!("{}: `{name}` is missing", path.display()))),
                }
            };
            let (weight, mean, square) = (get("weight")?, get("mean")?, get("square")?);
            trained.var.set(&weight)?;
            (trained.mean, trained.square) = (mean, square);
        }
        adam.steps = self.steps;
        Ok(())
    }
}
