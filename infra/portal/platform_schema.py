"""The tables of the platform's PostgreSQL, as far as the playing portal uses them: its names, its types, its keys."""

AUTH = (
    """CREATE TABLE IF NOT EXISTS users (
        uuid VARCHAR(36) PRIMARY KEY,
        email VARCHAR(190) NOT NULL UNIQUE,
        nickname VARCHAR(30) NOT NULL,
        password_hash VARCHAR(60) NOT NULL)""",
)

SHOPPING = (
    """CREATE TABLE IF NOT EXISTS products (
        id BIGINT PRIMARY KEY,
        name VARCHAR(255) NOT NULL,
        description TEXT,
        price DECIMAL(19,2) NOT NULL,
        discount_price DECIMAL(19,2),
        stock INT NOT NULL DEFAULT 0,
        category VARCHAR(100),
        featured BOOLEAN NOT NULL DEFAULT FALSE,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS inventory (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        product_id BIGINT NOT NULL UNIQUE REFERENCES products (id),
        available_quantity INT NOT NULL DEFAULT 0,
        reserved_quantity INT NOT NULL DEFAULT 0,
        total_quantity INT NOT NULL DEFAULT 0,
        version BIGINT DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS carts (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id VARCHAR(100) NOT NULL,
        status VARCHAR(20) NOT NULL DEFAULT 'ACTIVE',
        created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
    "CREATE INDEX IF NOT EXISTS idx_cart_user_status ON carts (user_id, status)",
    """CREATE TABLE IF NOT EXISTS cart_items (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        cart_id BIGINT NOT NULL REFERENCES carts (id) ON DELETE CASCADE,
        product_id BIGINT NOT NULL,
        product_name VARCHAR(255) NOT NULL,
        price DECIMAL(12,2) NOT NULL,
        quantity INT NOT NULL,
        added_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
    "CREATE INDEX IF NOT EXISTS idx_cart_item_cart_id ON cart_items (cart_id)",
    """CREATE TABLE IF NOT EXISTS coupons (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        code VARCHAR(50) NOT NULL UNIQUE,
        name VARCHAR(100) NOT NULL,
        description TEXT,
        discount_type VARCHAR(20) NOT NULL,
        discount_value DECIMAL(10,2) NOT NULL,
        total_quantity INT NOT NULL,
        issued_quantity INT NOT NULL DEFAULT 0,
        status VARCHAR(20) NOT NULL DEFAULT 'ACTIVE',
        starts_at TIMESTAMP NOT NULL,
        expires_at TIMESTAMP NOT NULL,
        created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS user_coupons (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id VARCHAR(36) NOT NULL,
        coupon_id BIGINT NOT NULL REFERENCES coupons (id),
        status VARCHAR(20) NOT NULL DEFAULT 'AVAILABLE',
        issued_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        expires_at TIMESTAMP NOT NULL,
        UNIQUE (user_id, coupon_id))""",
    """CREATE TABLE IF NOT EXISTS orders (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_number VARCHAR(30) NOT NULL UNIQUE,
        user_id VARCHAR(100) NOT NULL,
        status VARCHAR(20) NOT NULL DEFAULT 'PENDING',
        total_amount DECIMAL(12,2) NOT NULL,
        receiver_name VARCHAR(100),
        created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
    """CREATE TABLE IF NOT EXISTS order_items (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id BIGINT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
        product_id BIGINT NOT NULL,
        product_name VARCHAR(255) NOT NULL,
        price DECIMAL(12,2) NOT NULL,
        quantity INT NOT NULL,
        subtotal DECIMAL(12,2) NOT NULL)""",
    *(
        f"""CREATE TABLE IF NOT EXISTS {table} (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id BIGINT NOT NULL{key})"""
        for table, key in (
            ("payments", " REFERENCES orders (id)"),
            ("deliveries", " REFERENCES orders (id)"),
            ("saga_states", ""),
        )
    ),
)
