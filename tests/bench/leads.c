/* leads.c - made-up leads; see leads.h. Who is in here does not exist: names are drawn from lists, addresses end in .example. */
#include "tests/bench/leads.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/prop.h"

#define SEED UINT64_C(0x6c656164706f6f6c)
#define UPDATES 997 /* distinct values of an update */

const lead_column lead_columns[LEAD_COLUMNS] = {
    {"id", NULL, false},
    {"name_en", "phonetic_name", false},
    {"name_zh", "full_name", false},
    {"company", "company", false},
    {"company_zh", "local_company", false},
    {"title", "job_title", false},
    {"email", "email", false},
    {"phone", "phone", false},
    {"wechat", "social.wechat", false},
    {"source", "source", false},
    {"event", "event", false},
    {"industry", "industry", false},
    {"size_band", "size_band", false},
    {"region", "region", false},
    {"city", "city", false},
    {"intent", "rating", false},
    {"budget", "budget_state", false},
    {"notes", "notes", false},
    {"score", "score", true},
    {"stage", "stage", false},
    {"owner", "owner", false},
    {"consent", "consent", true},
    {"device", "answers.device", false},
    {"created_at", "captured_at", true},
    {"updated_at", "next_action_at", true},
};

enum {
    ID,
    NAME,
    NAME_ZH,
    COMPANY,
    COMPANY_ZH,
    TITLE,
    EMAIL,
    PHONE,
    WECHAT,
    SOURCE,
    EVENT,
    INDUSTRY,
    SIZE,
    REGION,
    CITY,
    INTENT,
    BUDGET,
    NOTES,
    SCORE,
    STAGE,
    OWNER,
    CONSENT,
    DEVICE,
    CREATED,
    UPDATED
};

static const char *const given[] = {"Anna",  "Ben",   "Clara", "David", "Elena",
                                    "Felix", "Grace", "Hugo",  "Iris",  "Jonas"};
static const char *const family[] = {"Almeida", "Brandt", "Chen",  "Dubois", "Evans",
                                     "Fischer", "Gao",    "Huang", "Ito",    "Jin"};
static const char *const full_zh[] = {"陈思远", "高雨桐", "黄子轩", "金书瑶", "林若曦", "孙浩然", "王一诺", "吴佳怡"};
static const char *const firm[] = {"Northwind Optics", "Blue Harbor Tools", "Pacific Valve", "Silverline Motors",
                                   "Orchid Foods"};
static const char *const firm_zh[] = {"北风光学有限公司", "蓝港工具股份有限公司", "太平洋阀门集团", "银线汽车有限公司",
                                      "兰花食品有限公司"};
static const char *const domain[] = {"northwind", "blueharbor", "pacificvalve", "silverline", "orchidfoods"};
static const char *const title[] = {"Head of Purchasing", "采购经理",        "Plant Manager",
                                    "总工程师",           "Product Manager", "CTO"};
static const char *const source[] = {"badge", "form", "card", "referral", "walk-in"};
static const char *const event[] = {"Hannover Messe 2026", "CIIF Shanghai 2026", "Canton Fair 2026 Autumn"};
static const char *const industry[] = {"machinery", "packaging", "food", "electronics", "medical"};
static const char *const size[] = {"1-50", "51-200", "201-500", "501-1000", "1001+"};
static const char *const region[] = {"East China", "South China", "DACH", "Nordics", "North America"};
static const char *const city[] = {"Suzhou", "Hangzhou", "Hamburg", "Göteborg", "Toronto", "深圳"};
static const char *const intent[] = {"hot", "warm", "cold", "partner"};
static const char *const budget[] = {"<10k USD", "10-50k USD", "50-200k USD", "open"};
static const char *const stage[] = {"new", "contacted", "qualified", "quoted"};
static const char *const owner[] = {"li.wei", "m.santos", "j.bauer", "y.tanaka"};
static const char *const note[] = {"asked for a sample kit before the end of the quarter; ",
                                   "wants a drawing checked by our engineers and a price for 500 pieces; ",
                                   "had trouble with late deliveries of the present supplier; ",
                                   "希望展会结束后一周内收到报价和样品，",
                                   "需要中文操作手册以及现场安装培训，",
                                   "对交货期和售后服务有较高要求，"};

#define PICK(list, r) list[prop_below(r, sizeof list / sizeof list[0])]

struct leads {
    sqlite3 *db; /* NULL: made up */
    sqlite3_stmt *statement;
};

leads *leads_open(const char *seed_db) {
    leads *l = calloc(1, sizeof *l);
    if (!l || !seed_db)
        return l;
    if (sqlite3_open_v2(seed_db, &l->db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(l->db, "SELECT * FROM seed_leads WHERE i = ?1", -1, &l->statement, NULL) == SQLITE_OK)
        return l;
    fprintf(stderr, "bench: cannot read %s: %s\n", seed_db, sqlite3_errmsg(l->db));
    leads_close(l);
    return NULL;
}

void leads_close(leads *l) {
    if (!l)
        return;
    sqlite3_finalize(l->statement);
    sqlite3_close(l->db);
    free(l);
}

/* A seed row under an index above the cycle has the index in front of its id. */
static bool seed_row(leads *l, uint64_t index, lead_row *row) {
    sqlite3_reset(l->statement);
    sqlite3_bind_int64(l->statement, 1, (int64_t)(index % LEAD_CYCLE));
    if (sqlite3_step(l->statement) != SQLITE_ROW || sqlite3_column_count(l->statement) != LEAD_COLUMNS + 1)
        return false;
    for (int i = 0; i < LEAD_COLUMNS; i++)
        if (lead_columns[i].number)
            row->number[i] = sqlite3_column_int64(l->statement, i + 1);
        else
            snprintf(row->text[i], LEAD_TEXT_BYTES, "%s", (const char *)sqlite3_column_text(l->statement, i + 1));
    if (index >= LEAD_CYCLE) {
        char head[20];
        snprintf(head, sizeof head, "%08llx", (unsigned long long)index);
        memcpy(row->text[ID], head, 8);
    }
    return lp_id_parse(row->text[ID], &row->id);
}

static void put(lead_row *row, int column, const char *text) {
    snprintf(row->text[column], LEAD_TEXT_BYTES, "%s", text);
}

static void make_person(prop *r, lead_row *row) {
    const char *first = PICK(given, r), *last = PICK(family, r);
    size_t at = (size_t)prop_below(r, sizeof firm / sizeof firm[0]);
    unsigned number = (unsigned)prop_below(r, 10000);
    snprintf(row->text[NAME], LEAD_TEXT_BYTES, "%s %s", first, last);
    snprintf(row->text[COMPANY], LEAD_TEXT_BYTES, "%s %u", firm[at], number % 100);
    snprintf(row->text[EMAIL], LEAD_TEXT_BYTES, "%s.%s%u@%s.example", first, last, number, domain[at]);
    snprintf(row->text[PHONE], LEAD_TEXT_BYTES, "+86 21 %04u %04u", number, (unsigned)prop_below(r, 10000));
    snprintf(row->text[WECHAT], LEAD_TEXT_BYTES, "wx_%s%u", last, number);
    put(row, NAME_ZH, PICK(full_zh, r));
    put(row, COMPANY_ZH, firm_zh[at]);
    put(row, TITLE, PICK(title, r));
}

static void make_visit(prop *r, lead_row *row) {
    put(row, SOURCE, PICK(source, r));
    put(row, EVENT, PICK(event, r));
    put(row, INDUSTRY, PICK(industry, r));
    put(row, SIZE, PICK(size, r));
    put(row, REGION, PICK(region, r));
    put(row, CITY, PICK(city, r));
    put(row, INTENT, PICK(intent, r));
    put(row, BUDGET, PICK(budget, r));
    put(row, STAGE, PICK(stage, r));
    put(row, OWNER, PICK(owner, r));
    snprintf(row->text[DEVICE], LEAD_TEXT_BYTES, "tablet-%u", (unsigned)prop_below(r, 50));
    size_t used = 0;
    for (int i = 0; i < 4; i++)
        used += (size_t)snprintf(row->text[NOTES] + used, LEAD_TEXT_BYTES - used, "%s", PICK(note, r));
    row->number[SCORE] = (int64_t)prop_below(r, 101);
    row->number[CONSENT] = prop_chance(r, 80);
    row->number[CREATED] = INT64_C(1772000000000) + (int64_t)prop_below(r, UINT64_C(600000000));
    row->number[UPDATED] = row->number[CREATED] + (int64_t)prop_below(r, UINT64_C(90000000));
}

bool leads_row(leads *l, uint64_t index, lead_row *row) {
    if (l->db)
        return seed_row(l, index, row);
    prop r = prop_seeded(SEED + index);
    row->id = prop_id(&r);
    lp_id_format(&row->id, row->text[ID]);
    make_person(&r, row);
    make_visit(&r, row);
    return true;
}

bool leads_id(leads *l, uint64_t index, lp_id *id_out) {
    if (!l->db) {
        prop r = prop_seeded(SEED + index);
        *id_out = prop_id(&r);
        return true;
    }
    lead_row row;
    bool found = seed_row(l, index, &row);
    *id_out = row.id;
    return found;
}

int lead_column_named(const char *name) {
    for (int i = 0; i < LEAD_COLUMNS; i++)
        if (strcmp(lead_columns[i].name, name) == 0)
            return i;
    return -1;
}

void lead_update_text(int column, const char *tag, uint64_t index, char text_out[LEAD_TEXT_BYTES]) {
    snprintf(text_out, LEAD_TEXT_BYTES, "%s-%s-%u", lead_columns[column].name, tag, (unsigned)(index % UPDATES));
}

int64_t lead_update_number(const char *tag, uint64_t index) {
    return atoll(tag) * 1000 + (int64_t)(index % UPDATES);
}
