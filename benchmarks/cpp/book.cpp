// The C++ twin of sim/kernels/bare.py: the same book by the same rules, as a programmer would write it for speed.
//
// Price ladder, three-level bitmap over it, intrusive FIFO lists in an order pool with a LIFO free list, chained table
// from order id to slot.  Usage: book STREAM LADDER RESTING REPEATS
// STREAM holds COMMAND records (sim/records.py); the first RESTING of them are not timed.  Prints, separated by spaces:
// the median of the CPU seconds of REPEATS runs over the rest, the number of trades, the checksum of all trades.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <vector>

enum Kind : uint8_t { LIMIT, POST_ONLY, MARKET, IOC, FOK, STOP, TAKE_PROFIT, CANCEL };
constexpr int BUY = 1;
constexpr int64_t MOST_LOTS = (int64_t{1} << 31) - 1;

struct Command {
    int64_t arrival_ns, order_id, quantity_lots;
    int32_t account, price_ticks, trigger_ticks;
    uint8_t kind;
    int8_t side;
    uint8_t flags, cause;
};
static_assert(sizeof(Command) == 40, "COMMAND of sim/records.py");

struct Order {
    int64_t order_id;
    int32_t quantity_lots, account, price_ticks;
    uint32_t next, prev;
    int8_t side;
    uint8_t flags, cause;
    int8_t queue;
};
static_assert(sizeof(Order) == 32, "half a cache line");

struct Level {
    int64_t lots;
    uint32_t head, tail;
};

class Bitmap {
  public:
    explicit Bitmap(int64_t size) : low(size / 64 + 1), middle(size / 4096 + 1), high(size / 262144 + 1) {}

    void add(uint64_t i) {
        const bool first = low[i >> 6] == 0;
        low[i >> 6] |= 1ull << (i & 63);
        if (!first) return;
        middle[i >> 12] |= 1ull << (i >> 6 & 63);
        high[i >> 18] |= 1ull << (i >> 12 & 63);
    }

    void discard(uint64_t i) {
        if (low[i >> 6] &= ~(1ull << (i & 63))) return;
        if (middle[i >> 12] &= ~(1ull << (i >> 6 & 63))) return;
        high[i >> 18] &= ~(1ull << (i >> 12 & 63));
    }

    int64_t above(uint64_t i) const {  // smallest member >= i, or -1
        uint64_t at = i >> 6;
        if (at >= low.size()) return -1;
        if (const uint64_t word = low[at] & (~0ull << (i & 63))) return at << 6 | __builtin_ctzll(word);
        uint64_t up = ++at >> 6;
        if (up >= middle.size()) return -1;
        uint64_t word = middle[up] & (~0ull << (at & 63));
        if (!word) {
            uint64_t top = ++up >> 6;
            if (top >= high.size()) return -1;
            word = high[top] & (~0ull << (up & 63));
            while (!word) {
                if (++top >= high.size()) return -1;
                word = high[top];
            }
            up = top << 6 | __builtin_ctzll(word);
            word = middle[up];
        }
        at = up << 6 | __builtin_ctzll(word);
        return at << 6 | __builtin_ctzll(low[at]);
    }

    int64_t below(int64_t i) const {  // largest member <= i, or -1
        if (i < 0) return -1;
        uint64_t at = i >> 6;
        if (const uint64_t word = low[at] & (~0ull >> (63 - (i & 63)))) return at << 6 | (63 - __builtin_clzll(word));
        if (at-- == 0) return -1;
        uint64_t up = at >> 6;
        uint64_t word = middle[up] & (~0ull >> (63 - (at & 63)));
        if (!word) {
            if (up-- == 0) return -1;
            uint64_t top = up >> 6;
            word = high[top] & (~0ull >> (63 - (up & 63)));
            while (!word) {
                if (top-- == 0) return -1;
                word = high[top];
            }
            up = top << 6 | (63 - __builtin_clzll(word));
            word = middle[up];
        }
        at = up << 6 | (63 - __builtin_clzll(word));
        return at << 6 | (63 - __builtin_clzll(low[at]));
    }

  private:
    std::vector<uint64_t> low, middle, high;
};

struct NoTape {
    void fill(int64_t, int64_t, int64_t, int64_t) {}
};

struct Checksum {
    uint64_t sum = 0;
    void fill(int64_t taker_order_id, int64_t maker_order_id, int64_t price, int64_t lots) {
        for (const int64_t value : {taker_order_id, maker_order_id, price, lots})
            sum = sum * 6364136223846793005ull + static_cast<uint64_t>(value);
    }
};

template <class Tape>
class Book {
  public:
    int64_t fills = 0, last = 0;
    Tape tape;

    Book(int64_t ladder, uint32_t pool)
        : size(ladder), best_ask(ladder), orders(pool), same_hash(pool), levels(ladder), bits(ladder),
          ids(uint64_t{2} * pool), mask(uint64_t{2} * pool - 1) {
        for (uint32_t slot = 1; slot + 1 < pool; ++slot) orders[slot].next = slot + 1;
    }

    void run(const Command *commands, size_t count) {
        for (size_t i = 0; i < count; ++i) {
            if (!free) {
                std::fprintf(stderr, "the order pool is full\n");
                std::exit(1);
            }
            const Command &c = commands[i];
            if (c.kind < STOP) {
                if (c.quantity_lots <= 0 || c.quantity_lots > MOST_LOTS) continue;
                const bool on_ladder = c.price_ticks >= 1 && c.price_ticks < size;
                if (!on_ladder && !(c.kind == MARKET && c.price_ticks == 0)) continue;
                trade(c);
            } else if (c.kind == CANCEL) {
                const uint32_t slot = find(c.order_id);
                if (slot && orders[slot].account == c.account) drop(slot);
            }
        }
    }

  private:
    int64_t size, best_bid = 0, best_ask;
    uint32_t free = 1;
    int64_t live = 0;
    std::vector<Order> orders;
    std::vector<uint32_t> same_hash;
    std::vector<Level> levels;
    Bitmap bits;
    std::vector<uint32_t> ids;
    uint64_t mask;

    uint32_t find(int64_t order_id) const {
        uint32_t slot = ids[order_id & mask];
        while (slot && orders[slot].order_id != order_id) slot = same_hash[slot];
        return slot;
    }

    void rest(const Command &c, int32_t lots) {
        const uint32_t slot = free;
        Order &order = orders[slot];
        free = order.next;
        ++live;
        order.order_id = c.order_id;
        order.quantity_lots = lots;
        order.account = c.account;
        order.price_ticks = c.price_ticks;
        order.side = c.side;
        order.flags = c.flags;
        order.cause = c.cause;
        order.queue = -1;
        uint32_t &home = ids[c.order_id & mask];
        same_hash[slot] = home;
        home = slot;
        Level &level = levels[c.price_ticks];
        const uint32_t tail = level.tail;
        level.lots += lots;
        level.tail = slot;
        order.prev = tail;
        order.next = 0;
        if (tail) {
            orders[tail].next = slot;
            return;
        }
        level.head = slot;
        bits.add(c.price_ticks);
        if (c.side == BUY)
            best_bid = std::max<int64_t>(best_bid, c.price_ticks);
        else
            best_ask = std::min<int64_t>(best_ask, c.price_ticks);
    }

    void drop(uint32_t slot) {
        Order &order = orders[slot];
        const int64_t price = order.price_ticks;
        Level &level = levels[price];
        const uint32_t following = order.next, previous = order.prev;
        level.lots -= order.quantity_lots;
        (following ? orders[following].prev : level.tail) = previous;
        (previous ? orders[previous].next : level.head) = following;
        if (!level.head) {
            bits.discard(price);
            if (order.side == BUY) {
                if (price == best_bid) best_bid = std::max<int64_t>(bits.below(price - 1), 0);
            } else if (price == best_ask) {
                const int64_t found = bits.above(price + 1);
                best_ask = found > 0 ? found : size;
            }
        }
        uint32_t *at = &ids[order.order_id & mask];
        while (*at != slot) at = &same_hash[*at];
        *at = same_hash[slot];
        order.quantity_lots = 0;
        order.next = free;
        free = slot;
        --live;
    }

    int64_t fillable(const Command &c, int64_t limit) const {
        int64_t total = 0;
        for (int64_t price = c.side == BUY ? best_ask : best_bid; total < c.quantity_lots;) {
            if (c.side == BUY ? price < 0 || price > limit || price >= size : price <= 0 || price < limit) break;
            for (uint32_t slot = levels[price].head; slot && total < c.quantity_lots; slot = orders[slot].next)
                if (orders[slot].account != c.account) total += orders[slot].quantity_lots;
            price = c.side == BUY ? bits.above(price + 1) : bits.below(price - 1);
        }
        return total;
    }

    void trade(const Command &c) {
        const bool buys = c.side == BUY;
        int64_t limit = c.price_ticks;
        if (c.kind == MARKET && limit == 0) limit = buys ? size - 1 : 1;
        if (c.kind == POST_ONLY && (buys ? best_ask <= limit : best_bid >= limit)) return;
        if (c.kind == FOK && fillable(c, limit) < c.quantity_lots) return;
        int32_t left = static_cast<int32_t>(c.quantity_lots);
        while (left > 0) {
            const int64_t price = buys ? best_ask : best_bid;
            if (buys ? price > limit || price >= size : price < limit || price <= 0) break;
            Level &level = levels[price];
            const uint32_t slot = level.head;
            Order &maker = orders[slot];
            if (maker.account == c.account) {  // the resting order of a self-trade goes
                drop(slot);
                continue;
            }
            const int32_t traded = std::min(left, maker.quantity_lots);
            left -= traded;
            last = price;
            ++fills;
            tape.fill(c.order_id, maker.order_id, price, traded);
            if (traded == maker.quantity_lots) {
                drop(slot);
            } else {
                maker.quantity_lots -= traded;
                level.lots -= traded;
            }
        }
        if (left > 0 && c.kind <= POST_ONLY) rest(c, left);
    }
};

static double cpu_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: book STREAM LADDER RESTING REPEATS\n");
        return 2;
    }
    std::ifstream file(argv[1], std::ios::binary | std::ios::ate);
    std::vector<Command> commands(file ? static_cast<size_t>(file.tellg()) / sizeof(Command) : 0);
    file.seekg(0);
    file.read(reinterpret_cast<char *>(commands.data()), commands.size() * sizeof(Command));
    const int64_t ladder = std::atoll(argv[2]);
    const size_t resting = std::atoll(argv[3]);
    const int repeats = std::atoi(argv[4]);
    if (!file || commands.size() < resting || repeats < 1 || ladder < 2) {
        std::fprintf(stderr, "book: cannot read %s, or a number makes no sense\n", argv[1]);
        return 2;
    }
    constexpr uint32_t POOL = 1 << 16;

    std::vector<double> seconds;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        Book<NoTape> book(ladder, POOL);
        book.run(commands.data(), resting);
        const double started = cpu_seconds();
        book.run(commands.data() + resting, commands.size() - resting);
        seconds.push_back(cpu_seconds() - started);
    }
    std::sort(seconds.begin(), seconds.end());

    Book<Checksum> book(ladder, POOL);
    book.run(commands.data(), commands.size());
    std::printf("%.9f %lld %llu\n", seconds[seconds.size() / 2], static_cast<long long>(book.fills),
                static_cast<unsigned long long>(book.tape.sum));
    return 0;
}
