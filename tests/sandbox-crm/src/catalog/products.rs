//! Products.

use super::definition::{Choices, Definition, area, flag, html, number, select, text};
use crate::data::meaning::Meaning::{Colour, Decimal, NationalId, ProductName, Text, Url, Whole};

const TYPES: Choices = &[("inventory", "Inventory"), ("non_inventory", "Non-inventory"), ("service", "Service")];
const STATUS: Choices = &[("active", "Active"), ("inactive", "Inactive")];
const PERIODS: Choices = &[("monthly", "Monthly"), ("quarterly", "Quarterly"), ("annually", "Annually")];
const PRICING: Choices =
    &[("flat", "Flat"), ("volume", "Volume"), ("stairstep", "Stairstep"), ("graduated", "Graduated")];
const TAX: Choices = &[("standard", "19 %"), ("reduced", "7 %"), ("none", "0 %")];

pub(super) const DEFINITIONS: &[Definition] = &[
    text("name", "Name", ProductName, 990),
    area("description", "Product description", 700),
    html("hs_rich_description", "Rich text description", 200),
    number("price", "Unit price", Decimal(1, 9_000), 950),
    number("hs_cost_of_goods_sold", "Unit cost", Decimal(0, 4_000), 500),
    text("hs_sku", "SKU", NationalId, 800).unique(),
    text("hs_url", "URL", Url, 300),
    text("hs_images", "Image URL", Url, 300),
    select("hs_product_type", "Product type", TYPES, 600),
    select("hs_status", "Status", STATUS, 900),
    select("recurringbillingfrequency", "Billing frequency", PERIODS, 300),
    text("hs_recurring_billing_period", "Term", Text, 200),
    select("hs_pricing_model", "Pricing model", PRICING, 200),
    number("tax", "Tax", Decimal(0, 500), 200),
    select("tax_class", "Steuersatz", TAX, 600).custom(),
    text("colour", "Farbe", Colour, 500).custom(),
    number("stock_level", "Stock level", Whole(-5, 5_000), 600).custom(),
    flag("discontinued", "Discontinued", 400).custom(),
    number("amount_sold_total", "Units sold", Whole(0, 90_000), 400).calculated(),
];
