//! What a column is in Parquet.

use crate::format::columns::ColumnSpec;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;
use wasmill_stream::field::FieldType;

/// The schema of rows with these columns. A column that no row may lack is required.
pub(super) fn of(columns: &[ColumnSpec]) -> Result<TypePtr> {
    let fields = columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    Type::group_type_builder("row").with_fields(fields).build().map(Arc::new)
}

fn field(column: &ColumnSpec) -> Result<Type> {
    let (physical, logical) = match column.field.kind {
        FieldType::Bool => (Physical::BOOLEAN, None),
        FieldType::Int => (Physical::INT64, None),
        FieldType::Float => (Physical::DOUBLE, None),
        FieldType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        FieldType::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
    };
    let repetition = if column.field.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Type::primitive_type_builder(&column.name, physical).with_repetition(repetition).with_logical_type(logical).build()
}
