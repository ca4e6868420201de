// The reference portal's bodies: what only code can say about the platform (architecture.md, "A profile is data").

/** Where an answer names the thing that was asked for, and what it says of it. */
export const paths = {
  product: 'data.id',
  post: 'data.id',
  cart_total: 'data.totalAmount',
  cart_lines: 'data.items.#.subtotal',
  order: 'data.orderNumber',
  order_total: 'data.totalAmount',
  issued: 'data.id', // the coupon as this user holds it
};

/** What an access token says of user `number` besides who he is. */
export function claims(number) {
  const nickname = `load${number}`;
  const roles = ['ROLE_USER'];
  return { roles, effectiveRoles: roles, memberships: {}, email: `${nickname}@load.test`, nickname };
}

/** One piece of a product for the cart. */
export function cartItem(productId) {
  return { productId: Number(productId), quantity: 1 };
}

/** An order of the checked-out cart; the receiver's name is the run's mark, by which its rows are found again. */
export function order(mark) {
  return {
    shippingAddress: {
      receiverName: mark,
      receiverPhone: '010-0000-0000',
      zipCode: '04524',
      address1: 'Load test',
    },
  };
}
