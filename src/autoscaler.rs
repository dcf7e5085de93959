//! What KEDA and the Horizontal Pod Autoscaler make of our answers: their arithmetic and schedules, pure, in one place for demo,
//! tests and simulation. Source: KEDA 2.20 and Kubernetes 1.33, replica calculation for external metrics of type AverageValue.

pub mod hpa;
pub mod keda;
