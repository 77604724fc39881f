// A line: first come, first served, and any position can leave. It is a doubly linked list, so every operation takes
// the same time however long the line is. (A Set is no such queue: its iteration begins with deleted entries.)

/** A position in a line, or in none. Its owner keeps it, so that leaving needs no search. */
export class Position<Owner> {
  readonly owner: Owner;
  /** Internal to the line. */
  line: Line<Owner> | undefined = undefined;
  previous: Position<Owner> | undefined = undefined;
  next: Position<Owner> | undefined = undefined;

  constructor(owner: Owner) {
    this.owner = owner;
  }

  /** Leaves the line that it is in, if it is in one. */
  leave(): void {
    this.line?.remove(this);
  }
}

export class Line<Owner> {
  #first: Position<Owner> | undefined;
  #last: Position<Owner> | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The first of the positions that are still in the line. */
  get first(): Owner | undefined {
    return this.#first?.owner;
  }

  /** The last of the positions that are still in the line. */
  get last(): Owner | undefined {
    return this.#last?.owner;
  }

  /** Joins at the end, and leaves the line that the position was in before. */
  join(position: Position<Owner>): void {
    position.leave();
    position.line = this;
    position.previous = this.#last;
    if (this.#last === undefined) this.#first = position;
    else this.#last.next = position;
    this.#last = position;
    this.#length++;
  }

  /** Internal to the position, which is in this line. */
  remove(position: Position<Owner>): void {
    const { previous, next } = position;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    position.line = undefined;
    position.previous = undefined;
    position.next = undefined;
    this.#length--;
  }
}
