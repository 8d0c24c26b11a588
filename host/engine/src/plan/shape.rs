//! Shapes: what kind of state a step has, and the settings that it depends on.

use wasmill_stream::process::Order;
use wasmill_stream::units::Period;
use wasmill_stream::window::WindowSpec;

/// Stands before the one part of a shape that may change from run to run.
pub const LATENESS: &str = ", lateness ";

/// The shape of windows.
pub fn window_shape(windows: &WindowSpec, allowed_lateness: &Period) -> String {
    format!("{windows}{LATENESS}{allowed_lateness}")
}

/// The shape of a process.
pub fn process_shape(order: Order) -> String {
    match order {
        Order::Arrival => "process, order of arrival".to_owned(),
        Order::EventTime => "process, order of event time".to_owned(),
    }
}
